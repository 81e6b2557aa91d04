// Topics with the JavaScript SDK (version 3, Query protocol) against the real server. It names its errors by the
// answer's Code, through classes of its own.

import assert from "node:assert/strict";
import test from "node:test";
import * as sns from "@aws-sdk/client-sns";

const endpoint = process.env.MILLRACE_ENDPOINT;
const client = new sns.SNSClient({ endpoint, maxAttempts: 1 });
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
