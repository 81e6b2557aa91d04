// sqs-consumer and sqs-producer against the real server: long polls one after another, heartbeats, deletes in
// batches, failures that come back, and a stop in the middle of a poll.

import assert from "node:assert/strict";
import test from "node:test";
import * as sqs from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";
import { Producer } from "sqs-producer";

const endpoint = process.env.MILLRACE_ENDPOINT;
const client = new sqs.SQSClient({ endpoint });
const kSecondsMax = 30;
const kMessages = 25;

let made = 0;

async function queue(attributes = {}) {
  const answer = await client.send(new sqs.CreateQueueCommand({ QueueName: `consumer-${++made}`, Attributes: attributes }));
  return answer.QueueUrl;
}

const producer = (queueUrl) => Producer.create({ queueUrl, sqs: client });

async function counts(url) {
  const { Attributes } = await client.send(new sqs.GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] }));
  return [Attributes.ApproximateNumberOfMessages, Attributes.ApproximateNumberOfMessagesNotVisible].map(Number);
}

// Until `done`, with whatever goes wrong in between; then the consumer is stopped.
async function consume(options, done) {
  const consumer = Consumer.create({ sqs: client, waitTimeSeconds: 20, pollingWaitTimeMs: 0, ...options });
  const errors = [];
  consumer.on("error", (error) => errors.push(error));
  consumer.on("timeout_error", (error) => errors.push(error));
  const stopped = new Promise((resolve) => consumer.on("stopped", resolve));
  const deadline = Date.now() + kSecondsMax * 1000;
  consumer.start();
  while (!(await done())) {
    assert.ok(Date.now() < deadline, `${errors}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  consumer.stop({ abort: true });
  await stopped;
  return errors;
}

test("what a producer sends in batches, a consumer handles once each and deletes", async () => {
  const url = await queue();
  const sent = await producer(url).send(Array.from({ length: kMessages }, (_, number) => ({
    id: `${number}`, body: `body ${number}`, messageAttributes: { n: { DataType: "Number", StringValue: `${number}` } } })));
  assert.equal(sent.length, kMessages);
  assert.equal(await producer(url).queueSize(), kMessages);
  const seen = [];
  const errors = await consume({
    queueUrl: url, batchSize: 10, messageAttributeNames: ["All"], messageSystemAttributeNames: ["All"],
    handleMessage: async (message) => {
      assert.equal(message.Body, `body ${message.MessageAttributes.n.StringValue}`);
      assert.equal(message.Attributes.ApproximateReceiveCount, "1");
      seen.push(message.MessageId);
      return message;
    } }, async () => seen.length >= kMessages && (await counts(url)).every((count) => count === 0));
  assert.deepEqual(errors, []);
  assert.deepEqual(seen.sort(), sent.map(({ MessageId }) => MessageId).sort());
});

test("of a batch only what was handled is deleted", async () => {
  const url = await queue();
  await producer(url).send(["good", "bad", "fine"]);
  let batches = 0;
  await consume({
    queueUrl: url, batchSize: 10, attributeNames: ["ApproximateReceiveCount"],
    handleMessageBatch: async (messages) => {
      ++batches;
      return messages.filter(({ Body }) => Body !== "bad");
    } }, async () => batches > 0 && (await counts(url)).join() === "0,1");
});

test("a failure makes the message visible at once, and the third try succeeds", async () => {
  const url = await queue({ VisibilityTimeout: "600" });
  await producer(url).send("flaky");
  const tries = [];
  const errors = [];
  const consumer = Consumer.create({
    sqs: client, queueUrl: url, waitTimeSeconds: 20, terminateVisibilityTimeout: true,
    messageSystemAttributeNames: ["ApproximateReceiveCount"],
    handleMessage: async (message) => {
      tries.push(message.Attributes.ApproximateReceiveCount);
      if (tries.length < 3) throw new Error("not yet");
      return message;
    } });
  consumer.on("processing_error", (error) => errors.push(error.message));
  const done = new Promise((resolve) => consumer.on("message_processed", resolve));
  const stopped = new Promise((resolve) => consumer.on("stopped", resolve));
  consumer.start();
  await done;
  consumer.stop({ abort: true });
  await stopped;
  assert.deepEqual(tries, ["1", "2", "3"]);
  assert.equal(errors.length, 2);
  assert.deepEqual(await counts(url), [0, 0]);
});

test("a heartbeat keeps a slow message from coming twice", async () => {
  const url = await queue();
  await producer(url).send("slow");
  const seen = [];
  await consume({
    queueUrl: url, visibilityTimeout: 2, heartbeatInterval: 1, concurrency: 2,
    handleMessage: async (message) => {
      seen.push(message.MessageId);
      await new Promise((resolve) => setTimeout(resolve, 3500));
      return message;
    } }, async () => seen.length > 0 && (await counts(url)).join() === "0,0");
  assert.equal(seen.length, 1);
});

test("a consumer that is stopped in the middle of a long poll loses nothing", async () => {
  const url = await queue();
  for (let round = 0; round < 5; ++round) {
    const consumer = Consumer.create({ sqs: client, queueUrl: url, waitTimeSeconds: 20, handleMessage: async (message) => message });
    consumer.on("error", (error) => assert.equal(error.code, "AbortError"));
    const stopped = new Promise((resolve) => consumer.on("stopped", resolve));
    consumer.start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    consumer.stop({ abort: true });
    await stopped;
    await producer(url).send(`round-${round}`);
    const { Messages } = await client.send(new sqs.ReceiveMessageCommand({
      QueueUrl: url, MessageSystemAttributeNames: ["ApproximateReceiveCount"] }));
    assert.deepEqual(Messages.map(({ Body, Attributes }) => [Body, Attributes.ApproximateReceiveCount]),
      [[`round-${round}`, "1"]]);
    await client.send(new sqs.DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: Messages[0].ReceiptHandle }));
  }
});

test("a FIFO queue is worked off in order", async () => {
  const { QueueUrl: url } = await client.send(new sqs.CreateQueueCommand({ QueueName: "consumer.fifo", Attributes: { FifoQueue: "true" } }));
  await producer(url).send(Array.from({ length: kMessages }, (_, number) => ({
    id: `${number}`, body: `${number}`, groupId: "g", deduplicationId: `${number}` })));
  const seen = [];
  await consume({ queueUrl: url, suppressFifoWarning: true, batchSize: 1,
    handleMessage: async (message) => { seen.push(Number(message.Body)); return message; } },
    () => seen.length >= kMessages);
  assert.deepEqual(seen, Array.from({ length: kMessages }, (_, number) => number));
});
