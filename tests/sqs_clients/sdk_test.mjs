// The JavaScript SDK (version 3, JSON protocol) against the real server. It checks the digests of bodies itself, on
// every send and receive, and names its errors by the answer's __type or, of errors without a class of their own, by
// x-amzn-query-error.

import assert from "node:assert/strict";
import test from "node:test";
import * as sqs from "@aws-sdk/client-sqs";

const endpoint = process.env.MILLRACE_ENDPOINT;
const client = new sqs.SQSClient({ endpoint, maxAttempts: 1 });
const kLongPollSeconds = 20;
const kTriesMax = 100;

let made = 0;
const arn = (name) => `arn:aws:sqs:us-east-1:000000000000:${name}`;

async function queue(attributes = {}, suffix = "") {
  const name = `sdk-${++made}${suffix}`;
  if (suffix) attributes = { FifoQueue: "true", ...attributes };
  const answer = await client.send(new sqs.CreateQueueCommand({ QueueName: name, Attributes: attributes }));
  assert.equal(answer.QueueUrl, `${endpoint}/000000000000/${name}`);
  return { url: answer.QueueUrl, arn: arn(name) };
}

async function receive(url, more = {}) {
  const answer = await client.send(new sqs.ReceiveMessageCommand({
    QueueUrl: url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ["All"], MessageAttributeNames: ["All"],
    ...more }));
  return answer.Messages ?? [];
}

const send = (url, body, more = {}) =>
  client.send(new sqs.SendMessageCommand({ QueueUrl: url, MessageBody: body, ...more }));

async function refused(command, expected) {
  await assert.rejects(client.send(command), (error) => {
    assert.ok(error instanceof sqs.SQSServiceException);
    assert.ok(error.$metadata.requestId);
    const { name, Code, status } = { name: error.name, Code: error.Code, status: error.$metadata.httpStatusCode };
    assert.deepEqual({ name, Code, status }, expected, error.message);
    assert.equal(error.$fault, "client");
    return true;
  });
}

test("bodies, attributes and digests come through unharmed", async () => {
  const { url } = await queue();
  const body = "a\r\nb\tc <&>\"' ü ✓ 🚀 \u0085\u2028 end ";
  const attributes = {
    color: { DataType: "String", StringValue: "blue" },
    count: { DataType: "Number", StringValue: "3" },
    blob: { DataType: "Binary", BinaryValue: Uint8Array.of(1, 2, 3) },
  };
  const sent = await send(url, body, { MessageAttributes: attributes });
  assert.equal(sent.MD5OfMessageAttributes, "d838729972a4b70e2d2acd9d59ac847c");
  const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  await send(url, "binary", { MessageAttributes: { raw: { DataType: "Binary.raw", BinaryValue: everyByte } } });
  const [first, second] = await receive(url);
  assert.equal(first.Body, body);
  assert.equal(first.MessageId, sent.MessageId);
  assert.equal(first.MD5OfMessageAttributes, sent.MD5OfMessageAttributes);
  assert.deepEqual(first.MessageAttributes, attributes);
  assert.equal(first.Attributes.ApproximateReceiveCount, "1");
  assert.match(first.Attributes.SentTimestamp, /^\d{13}$/);
  assert.deepEqual(second.MessageAttributes.raw.BinaryValue, everyByte);
});

test("what there is none of is left out", async () => {
  const { url } = await queue();
  const empty = await client.send(new sqs.ReceiveMessageCommand({ QueueUrl: url }));
  assert.equal(empty.Messages, undefined);
  assert.equal((await client.send(new sqs.ListQueueTagsCommand({ QueueUrl: url }))).Tags, undefined);
  assert.equal((await client.send(new sqs.ListQueuesCommand({ QueueNamePrefix: "nobody" }))).QueueUrls, undefined);
  assert.equal((await client.send(new sqs.GetQueueAttributesCommand({ QueueUrl: url }))).Attributes, undefined);
  await send(url, "plain");
  const [message] = (await client.send(new sqs.ReceiveMessageCommand({
    QueueUrl: url, AttributeNames: [], MessageSystemAttributeNames: [] }))).Messages;
  assert.deepEqual(Object.keys(message).sort(), ["Body", "MD5OfBody", "MessageId", "ReceiptHandle"]);
});

test("actions that answer nothing answer nothing", async () => {
  const { url } = await queue();
  await send(url, "x");
  const [{ ReceiptHandle }] = await receive(url);
  for (const command of [
    new sqs.TagQueueCommand({ QueueUrl: url, Tags: { team: "orders" } }),
    new sqs.UntagQueueCommand({ QueueUrl: url, TagKeys: ["team"] }),
    new sqs.SetQueueAttributesCommand({ QueueUrl: url, Attributes: { VisibilityTimeout: "60" } }),
    new sqs.AddPermissionCommand({ QueueUrl: url, Label: "l", AWSAccountIds: ["111122223333"], Actions: ["*"] }),
    new sqs.RemovePermissionCommand({ QueueUrl: url, Label: "l" }),
    new sqs.ChangeMessageVisibilityCommand({ QueueUrl: url, ReceiptHandle, VisibilityTimeout: 5 }),
    new sqs.DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }),
    new sqs.PurgeQueueCommand({ QueueUrl: url }),
    new sqs.DeleteQueueCommand({ QueueUrl: url }),
  ]) {
    const { $metadata, ...rest } = await client.send(command);
    assert.deepEqual([$metadata.httpStatusCode, rest], [200, {}]);
  }
});

test("errors have the names, codes and statuses of the service", async () => {
  const { url } = await queue();
  const nowhere = `${endpoint}/000000000000/nobody`;
  const legacy = (name) => `AWS.SimpleQueueService.${name}`;
  const batch = (Entries) => new sqs.SendMessageBatchCommand({ QueueUrl: url, Entries });
  const entry = { Id: "a", MessageBody: "x" };
  for (const [command, name, Code, status] of [
    [new sqs.GetQueueUrlCommand({ QueueName: "nobody" }), "QueueDoesNotExist", legacy("NonExistentQueue"), 400],
    [new sqs.SendMessageCommand({ QueueUrl: nowhere, MessageBody: "x" }), "QueueDoesNotExist", legacy("NonExistentQueue"), 400],
    [new sqs.DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: "garbage" }), "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404],
    [new sqs.SendMessageCommand({ QueueUrl: url, MessageBody: "\u0001" }), "InvalidMessageContents", "InvalidMessageContents", 400],
    [new sqs.SendMessageCommand({ QueueUrl: url, MessageBody: "" }), "MissingParameter", "MissingParameter", 400],
    [new sqs.ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 11 }), "InvalidParameterValue", "InvalidParameterValue", 400],
    [new sqs.SetQueueAttributesCommand({ QueueUrl: url, Attributes: { Nothing: "1" } }), "InvalidAttributeName", "InvalidAttributeName", 400],
    [new sqs.SetQueueAttributesCommand({ QueueUrl: url, Attributes: { DelaySeconds: "901" } }), "InvalidAttributeValue", "InvalidAttributeValue", 400],
    [new sqs.StartMessageMoveTaskCommand({ SourceArn: arn("nobody") }), "ResourceNotFoundException", "ResourceNotFoundException", 404],
    [batch([]), "EmptyBatchRequest", legacy("EmptyBatchRequest"), 400],
    [batch([entry, entry]), "BatchEntryIdsNotDistinct", legacy("BatchEntryIdsNotDistinct"), 400],
    [batch([{ ...entry, Id: "ü" }]), "InvalidBatchEntryId", legacy("InvalidBatchEntryId"), 400],
    [batch(Array.from({ length: 11 }, (_, n) => ({ ...entry, Id: `${n}` }))), "TooManyEntriesInBatchRequest", legacy("TooManyEntriesInBatchRequest"), 400],
    [new sqs.CreateQueueCommand({ QueueName: url.split("/").pop(), Attributes: { DelaySeconds: "1" } }), "QueueNameExists", "QueueAlreadyExists", 400],
  ])
    await refused(command, { name, Code, status });
  await client.send(new sqs.PurgeQueueCommand({ QueueUrl: url }));
  await refused(new sqs.PurgeQueueCommand({ QueueUrl: url }),
    { name: "PurgeQueueInProgress", Code: legacy("PurgeQueueInProgress"), status: 403 });
});

test("of a batch what is right is stored and what is wrong is named", async () => {
  const { url } = await queue();
  const answer = await client.send(new sqs.SendMessageBatchCommand({ QueueUrl: url, Entries: [
    { Id: "one", MessageBody: "one" }, { Id: "bad", MessageBody: "\ufffe" }, { Id: "two", MessageBody: "two" }] }));
  assert.deepEqual(answer.Successful.map(({ Id }) => Id), ["one", "two"]);
  assert.deepEqual(answer.Failed.map(({ Id, Code, SenderFault }) => [Id, Code, SenderFault]),
    [["bad", "InvalidMessageContents", true]]);
  const got = await receive(url);
  assert.deepEqual(got.map(({ Body }) => Body), ["one", "two"]);
  const deleted = await client.send(new sqs.DeleteMessageBatchCommand({ QueueUrl: url, Entries: [
    { Id: "0", ReceiptHandle: got[0].ReceiptHandle }, { Id: "1", ReceiptHandle: "garbage" }] }));
  assert.deepEqual(deleted.Successful, [{ Id: "0" }]);
  assert.equal(deleted.Failed[0].Code, "ReceiptHandleIsInvalid");
});

test("a poll that is aborted takes no message, and the next one gets it", async () => {
  const { url } = await queue();
  for (let round = 0; round < 3; ++round) {
    const controller = new AbortController();
    const waiting = client.send(new sqs.ReceiveMessageCommand({ QueueUrl: url, WaitTimeSeconds: kLongPollSeconds }),
      { abortSignal: controller.signal });
    setTimeout(() => controller.abort(), 200);
    await assert.rejects(waiting, { name: "AbortError" });
    await send(url, `message ${round}`);
    const [message] = await receive(url);
    assert.deepEqual([message.Body, message.Attributes.ApproximateReceiveCount], [`message ${round}`, "1"]);
  }
});

test("a long poll ends with the message that comes, and each waiting consumer gets its own", async () => {
  const { url } = await queue();
  const waiting = Array.from({ length: 20 }, () =>
    receive(url, { WaitTimeSeconds: kLongPollSeconds, MaxNumberOfMessages: 1 }));
  for (let number = 0; number < waiting.length; ++number) await send(url, `${number}`);
  const bodies = (await Promise.all(waiting)).flat().map(({ Body }) => Number(Body));
  assert.deepEqual(bodies.sort((a, b) => a - b), waiting.map((_, number) => number));
});

test("a FIFO queue keeps order, numbers and once", async () => {
  const { url } = await queue({ ContentBasedDeduplication: "true" }, ".fifo");
  const numbers = [];
  for (const body of ["a", "b", "a", "c"])
    numbers.push((await send(url, body, { MessageGroupId: "g" })).SequenceNumber);
  assert.equal(numbers[2], numbers[0]);
  assert.ok(numbers[0] < numbers[1] && numbers[1] < numbers[3] && numbers[0].length === 20);
  const got = await receive(url);
  assert.deepEqual(got.map(({ Body, Attributes }) => [Body, Attributes.SequenceNumber, Attributes.MessageGroupId]),
    [["a", numbers[0], "g"], ["b", numbers[1], "g"], ["c", numbers[3], "g"]]);
});

test("dead letters are set aside, moved back, and a move can be stopped", async () => {
  const dead = await queue();
  const source = await queue({ VisibilityTimeout: "0",
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dead.arn, maxReceiveCount: 1 }) });
  const sources = await client.send(new sqs.ListDeadLetterSourceQueuesCommand({ QueueUrl: dead.url }));
  assert.deepEqual(sources.queueUrls, [source.url]);
  const kDead = 10;
  for (let number = 0; number < kDead; ++number) await send(source.url, `${number}`);
  assert.equal((await receive(source.url)).length, kDead);
  assert.equal((await receive(source.url)).length, 0);
  const start = () => client.send(new sqs.StartMessageMoveTaskCommand({
    SourceArn: dead.arn, DestinationArn: source.arn, MaxNumberOfMessagesPerSecond: 1 }));
  const { TaskHandle } = await start();
  await refused(new sqs.StartMessageMoveTaskCommand({ SourceArn: dead.arn }),
    { name: "InvalidParameterValue", Code: "InvalidParameterValue", status: 400 });
  const { ApproximateNumberOfMessagesMoved } = await client.send(new sqs.CancelMessageMoveTaskCommand({ TaskHandle }));
  assert.ok(ApproximateNumberOfMessagesMoved < kDead);
  const list = async (more = {}) => (await client.send(
    new sqs.ListMessageMoveTasksCommand({ SourceArn: dead.arn, ...more }))).Results;
  const until = async (done) => {
    for (let tries = 0; tries < kTriesMax; ++tries) {
      const [newest] = await list();
      if (done(newest)) return newest;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return assert.fail("the task did not end");
  };
  const cancelled = await until(({ Status }) => Status === "CANCELLED");
  assert.equal(cancelled.TaskHandle, undefined);
  assert.equal(cancelled.MaxNumberOfMessagesPerSecond, 1);
  assert.equal(cancelled.DestinationArn, source.arn);
  await client.send(new sqs.SetQueueAttributesCommand({
    QueueUrl: source.url, Attributes: { VisibilityTimeout: "30", RedrivePolicy: "" } }));
  await refused(new sqs.StartMessageMoveTaskCommand({ SourceArn: dead.arn }),
    { name: "InvalidParameterValue", Code: "InvalidParameterValue", status: 400 });
  await client.send(new sqs.SetQueueAttributesCommand({ QueueUrl: source.url, Attributes: {
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dead.arn, maxReceiveCount: "5" }) } }));
  await client.send(new sqs.StartMessageMoveTaskCommand({ SourceArn: dead.arn }));
  await until(({ Status }) => Status === "COMPLETED");
  assert.equal((await list({ MaxResults: 10 })).length, 2);
  const bodies = (await receive(source.url, { WaitTimeSeconds: kLongPollSeconds })).map(({ Body }) => Number(Body));
  assert.deepEqual(bodies.sort((a, b) => a - b), Array.from({ length: kDead }, (_, number) => number));
});

test("listing goes on from page to page", async () => {
  const urls = [];
  for (let number = 0; number < 7; ++number)
    urls.push((await client.send(new sqs.CreateQueueCommand({ QueueName: `js-page-${number}` }))).QueueUrl);
  const listed = [];
  for await (const page of sqs.paginateListQueues({ client, pageSize: 3 }, { QueueNamePrefix: "js-page-" }))
    listed.push(...page.QueueUrls);
  assert.deepEqual(listed, urls);
});

test("a message of a mebibyte is allowed and one byte more is not", async () => {
  const { url } = await queue();
  const body = "ü".repeat(1 << 19);
  await send(url, body);
  const [message] = await receive(url);
  assert.ok(message.Body === body);
  await refused(new sqs.SendMessageCommand({ QueueUrl: url, MessageBody: body + "x" }),
    { name: "InvalidParameterValue", Code: "InvalidParameterValue", status: 400 });
});

test("a trace header comes from the request's own headers too", async () => {
  const { url } = await queue();
  const trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
  const sent = await send(url, "x", { MessageSystemAttributes: {
    AWSTraceHeader: { DataType: "String", StringValue: trace } } });
  assert.equal(sent.MD5OfMessageSystemAttributes, "5ae4d5d7636402d80f4eb6d213245a88");
  assert.equal((await receive(url))[0].Attributes.AWSTraceHeader, trace);
  const traced = new sqs.SQSClient({ endpoint, maxAttempts: 1 });
  traced.middlewareStack.add((next) => (args) => {
    args.request.headers["x-amzn-trace-id"] = trace;
    return next(args);
  }, { step: "build" });
  const again = await traced.send(new sqs.SendMessageCommand({ QueueUrl: url, MessageBody: "y" }));
  assert.equal(again.MD5OfMessageSystemAttributes, undefined);
  assert.equal((await receive(url))[0].Attributes.AWSTraceHeader, trace);
  traced.destroy();
});
