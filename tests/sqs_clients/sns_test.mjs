// Topics with the JavaScript SDK (version 3, Query protocol) against the real server. It names its errors by the
// answer's Code, through classes of its own.

import assert from "node:assert/strict";
import test from "node:test";
import { createVerify } from "node:crypto";
import * as sns from "@aws-sdk/client-sns";
import * as sqs from "@aws-sdk/client-sqs";

const endpoint = process.env.MILLRACE_ENDPOINT;
const client = new sns.SNSClient({ endpoint, maxAttempts: 1 });
const queues = new sqs.SQSClient({ endpoint, maxAttempts: 1 });
const topicArn = (name) => `arn:aws:sns:us-east-1:000000000000:${name}`;
const queueArn = (name) => `arn:aws:sqs:us-east-1:000000000000:${name}`;

async function topic(name, attributes = {}) {
  const { TopicArn } = await client.send(new sns.CreateTopicCommand({ Name: name, Attributes: attributes }));
  assert.equal(TopicArn, topicArn(name));
  return TopicArn;
}

async function refused(command, kind, status, text) {
  await assert.rejects(client.send(command), (error) => {
    assert.ok(error instanceof kind, error.constructor.name);
    assert.ok(error.$metadata.requestId);
    assert.equal(error.$metadata.httpStatusCode, status);
    assert.match(error.message, text);
    return true;
  });
}

test("a topic from create to delete", async () => {
  const arn = await topic("sdk", { DisplayName: "a <b> & c ü" });
  const { Attributes } = await client.send(new sns.GetTopicAttributesCommand({ TopicArn: arn }));
  assert.equal(Attributes.DisplayName, "a <b> & c ü");
  assert.equal(JSON.parse(Attributes.Policy).Statement[0].Resource, arn);
  const { Topics } = await client.send(new sns.ListTopicsCommand({}));
  assert.ok(Topics.some((one) => one.TopicArn === arn));
  await client.send(new sns.DeleteTopicCommand({ TopicArn: arn }));
  await client.send(new sns.DeleteTopicCommand({ TopicArn: arn }));
  await refused(new sns.GetTopicAttributesCommand({ TopicArn: arn }), sns.NotFoundException, 404,
                /^Topic does not exist$/);
  await refused(new sns.CreateTopicCommand({ Name: "a b" }), sns.InvalidParameterException, 400, /Topic Name/);
});

test("a subscription from subscribe to unsubscribe", async () => {
  const arn = await topic("sdk-subscribed");
  const { SubscriptionArn } = await client.send(new sns.SubscribeCommand({
    TopicArn: arn, Protocol: "sqs", Endpoint: queueArn("jobs"), ReturnSubscriptionArn: true,
    Attributes: { RawMessageDelivery: "true", FilterPolicy: JSON.stringify({ color: ["red"] }) } }));
  const shown = await client.send(new sns.GetSubscriptionAttributesCommand({ SubscriptionArn }));
  assert.deepEqual(JSON.parse(shown.Attributes.FilterPolicy), { color: ["red"] });
  const { Subscriptions } = await client.send(new sns.ListSubscriptionsByTopicCommand({ TopicArn: arn }));
  assert.deepEqual(Subscriptions, [{ SubscriptionArn, Owner: "000000000000", Protocol: "sqs",
                                     Endpoint: queueArn("jobs"), TopicArn: arn }]);
  await refused(new sns.SetSubscriptionAttributesCommand({ SubscriptionArn, AttributeName: "FilterPolicy",
                                                           AttributeValue: '{"a":[]}' }),
                sns.InvalidParameterException, 400, /Empty arrays are not allowed/);
  await client.send(new sns.UnsubscribeCommand({ SubscriptionArn }));
  await refused(new sns.GetSubscriptionAttributesCommand({ SubscriptionArn }), sns.NotFoundException, 404,
                /^Subscription does not exist$/);
});

test("what is published and what is not", async () => {
  const arn = await topic("sdk-published");
  const { MessageId } = await client.send(new sns.PublishCommand({
    TopicArn: arn, Message: "hello", Subject: "s",
    MessageAttributes: { blob: { DataType: "Binary", BinaryValue: Uint8Array.of(1, 2, 3) } } }));
  assert.match(MessageId, /^[0-9a-f-]{36}$/);
  const batch = await client.send(new sns.PublishBatchCommand({ TopicArn: arn, PublishBatchRequestEntries: [
    { Id: "1", Message: "one" }, { Id: "2", Message: "" }] }));
  assert.deepEqual(batch.Successful.map((one) => one.Id), ["1"]);
  assert.deepEqual(batch.Failed, [{ Id: "2", Code: "InvalidParameter", SenderFault: true,
                                    Message: "Invalid parameter: Empty message" }]);
  await refused(new sns.PublishCommand({ TopicArn: arn, Message: "x", Subject: "a\nb" }), sns.InvalidParameterException,
                400, /^Invalid parameter: Subject$/);
});

// A new queue that is subscribed, and may get what the topic sends.
async function subscribed(arn, name, attributes = {}) {
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [{
    Effect: "Allow", Principal: { Service: "sns.amazonaws.com" }, Action: "sqs:SendMessage",
    Resource: queueArn(name), Condition: { ArnEquals: { "aws:SourceArn": arn } } }] });
  const { QueueUrl } = await queues.send(new sqs.CreateQueueCommand({
    QueueName: name, Attributes: { Policy, ...(name.endsWith(".fifo") ? { FifoQueue: "true" } : {}) } }));
  const { SubscriptionArn } = await client.send(new sns.SubscribeCommand({
    TopicArn: arn, Protocol: "sqs", Endpoint: queueArn(name), Attributes: attributes, ReturnSubscriptionArn: true }));
  return { QueueUrl, SubscriptionArn };
}

async function received(QueueUrl) {
  const { Messages } = await queues.send(new sqs.ReceiveMessageCommand({
    QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ["All"], MessageAttributeNames: ["All"] }));
  return Messages ?? [];
}

test("raw, enveloped and filtered copies", async () => {
  const arn = await topic("sdk-copies");
  const raw = await subscribed(arn, "sdk-raw", { RawMessageDelivery: "true" });
  const enveloped = await subscribed(arn, "sdk-enveloped");
  const red = await subscribed(arn, "sdk-red", { FilterPolicy: JSON.stringify({ color: ["red"] }) });
  const color = { DataType: "String", StringValue: "blue" };
  const { MessageId } = await client.send(new sns.PublishCommand({
    TopicArn: arn, Message: "hello ü", MessageAttributes: { color } }));
  const [plain] = await received(raw.QueueUrl);
  assert.equal(plain.Body, "hello ü");
  assert.equal(plain.MessageAttributes.color.StringValue, "blue");
  const envelope = JSON.parse((await received(enveloped.QueueUrl))[0].Body);
  assert.equal(envelope.MessageId, MessageId);
  assert.ok(envelope.UnsubscribeURL.endsWith(enveloped.SubscriptionArn));
  const certificate = await (await fetch(envelope.SigningCertURL)).text();
  const verify = createVerify("RSA-SHA1");
  for (const key of ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]) verify.update(`${key}\n${envelope[key]}\n`);
  assert.ok(verify.verify(certificate, envelope.Signature, "base64"));
  assert.deepEqual(await received(red.QueueUrl), []);
});

test("a FIFO topic", async () => {
  const arn = await topic("sdk.fifo", { FifoTopic: "true" });
  const { QueueUrl } = await subscribed(arn, "sdk-copies.fifo", { RawMessageDelivery: "true" });
  const publish = (text, id) => client.send(new sns.PublishCommand({
    TopicArn: arn, Message: text, MessageGroupId: "g", MessageDeduplicationId: id }));
  const first = await publish("one", "1");
  const second = await publish("two", "2");
  assert.ok(BigInt(second.SequenceNumber) > BigInt(first.SequenceNumber));
  const again = await publish("one again", "1");
  assert.deepEqual([again.MessageId, again.SequenceNumber], [first.MessageId, first.SequenceNumber]);
  const messages = await received(QueueUrl);
  assert.deepEqual(messages.map((one) => one.Body), ["one", "two"]);
  assert.equal(messages[1].Attributes.MessageGroupId, "g");
});

test("tags and permissions", async () => {
  const arn = await topic("sdk-tagged");
  await client.send(new sns.TagResourceCommand({ ResourceArn: arn, Tags: [{ Key: "env", Value: "prod" }] }));
  const { Tags } = await client.send(new sns.ListTagsForResourceCommand({ ResourceArn: arn }));
  assert.deepEqual(Tags, [{ Key: "env", Value: "prod" }]);
  await client.send(new sns.UntagResourceCommand({ ResourceArn: arn, TagKeys: ["env"] }));
  await refused(new sns.ListTagsForResourceCommand({ ResourceArn: `${arn}-gone` }), sns.ResourceNotFoundException, 404,
                /^Resource does not exist$/);
  await client.send(new sns.AddPermissionCommand({ TopicArn: arn, Label: "partner", AWSAccountId: ["111122223333"],
                                                   ActionName: ["Publish"] }));
  await client.send(new sns.RemovePermissionCommand({ TopicArn: arn, Label: "partner" }));
});
