// Dead letters go back by a move task, with the JavaScript SDK: npm install @aws-sdk/client-sqs

import {
  CreateQueueCommand, DeleteQueueCommand, ListMessageMoveTasksCommand, ReceiveMessageCommand, SendMessageCommand,
  SetQueueAttributesCommand, SQSClient, StartMessageMoveTaskCommand,
} from "@aws-sdk/client-sqs";

const sqs = new SQSClient({
  endpoint: process.env.SQS_ENDPOINT ?? "http://127.0.0.1:9324",
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" }, // without --credentials the server accepts any
});
const dlqArn = "arn:aws:sqs:us-east-1:000000000000:js-dlq";

const { QueueUrl: dlq } = await sqs.send(new CreateQueueCommand({ QueueName: "js-dlq" }));
const { QueueUrl: queue } = await sqs.send(new CreateQueueCommand({
  QueueName: "js-queue",
  Attributes: {
    VisibilityTimeout: "0",
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dlqArn, maxReceiveCount: 1 }),
  },
}));

// Received once and not deleted: the next receive sets it aside.
await sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: "hard" }));
await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue }));
const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue, WaitTimeSeconds: 1 }));
console.log("left in the queue:", Messages?.length ?? 0);

// Its cause is mended.
await sqs.send(new SetQueueAttributesCommand({ QueueUrl: queue, Attributes: { VisibilityTimeout: "30" } }));
await sqs.send(new StartMessageMoveTaskCommand({ SourceArn: dlqArn, MaxNumberOfMessagesPerSecond: 10 }));
const back = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue, WaitTimeSeconds: 20 }));
console.log("back again:", back.Messages[0].Body);
const tasks = await sqs.send(new ListMessageMoveTasksCommand({ SourceArn: dlqArn }));
console.log("moved:", tasks.Results[0].ApproximateNumberOfMessagesMoved);

for (const QueueUrl of [queue, dlq]) await sqs.send(new DeleteQueueCommand({ QueueUrl }));
