"""SQS as botocore's model describes it, and requests that are right, for conformance_test.py to spoil.

What the model of Debian's botocore does not know yet (move tasks) is added in its own form.
"""

import json
import os

import botocore
from botocore.model import ServiceModel

from server import arn

LIST_OF_TASKS = {"type": "list", "flattened": True, "member": {
    "shape": "MoveTask", "locationName": "ListMessageMoveTasksResultEntry"}}
TEXT, NUMBER, LONG = {"shape": "String"}, {"shape": "BoxedInteger"}, {"shape": "Long"}
MOVE_TASKS = {
    "StartMessageMoveTask": (
        {"SourceArn": TEXT, "DestinationArn": TEXT, "MaxNumberOfMessagesPerSecond": NUMBER}, {"TaskHandle": TEXT}),
    "CancelMessageMoveTask": ({"TaskHandle": TEXT}, {"ApproximateNumberOfMessagesMoved": LONG}),
    "ListMessageMoveTasks": ({"SourceArn": TEXT, "MaxResults": NUMBER}, {"Results": {"shape": "MoveTaskList"}}),
}
MOVE_TASK = {"TaskHandle": TEXT, "Status": TEXT, "SourceArn": TEXT, "DestinationArn": TEXT,
             "MaxNumberOfMessagesPerSecond": NUMBER, "ApproximateNumberOfMessagesMoved": LONG,
             "ApproximateNumberOfMessagesToMove": LONG, "FailureReason": TEXT, "StartedTimestamp": LONG}

# JSON's name of an error -> its code in Query and in x-amzn-query-error, and the status.
LEGACY = "AWS.SimpleQueueService."
ERRORS = {
    **{name: (LEGACY + name, 400) for name in (
        "BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId",
        "MessageNotInflight", "TooManyEntriesInBatchRequest", "UnsupportedOperation")},
    **{name: (name, 400) for name in ("InvalidAttributeName", "InvalidAttributeValue", "InvalidMessageContents")},
    "QueueDoesNotExist": (LEGACY + "NonExistentQueue", 400),
    "QueueNameExists": ("QueueAlreadyExists", 400),
    "PurgeQueueInProgress": (LEGACY + "PurgeQueueInProgress", 403),
    "InvalidAddress": ("InvalidAddress", 404),
    "OverLimit": ("OverLimit", 403),
    "ReceiptHandleIsInvalid": ("ReceiptHandleIsInvalid", 404),
    "ResourceNotFoundException": ("ResourceNotFoundException", 404),
    "InvalidParameterValueException": ("InvalidParameterValue", 400),
    "MissingRequiredParameterException": ("MissingParameter", 400),
    "SerializationException": ("MalformedInput", 400),
}
UNMODELED = {"InvalidParameterValueException", "MissingRequiredParameterException", "SerializationException"}
# What any action on a queue may answer; what more each may is below.
ANY_ACTION = UNMODELED | {"QueueDoesNotExist", "InvalidAddress", "UnsupportedOperation"}
BATCH = {"BatchEntryIdsNotDistinct", "EmptyBatchRequest", "InvalidBatchEntryId", "TooManyEntriesInBatchRequest"}
ATTRIBUTES = {"InvalidAttributeName", "InvalidAttributeValue", "OverLimit"}
MAY_ANSWER = {
    "AddPermission": {"OverLimit"}, "ChangeMessageVisibility": {"MessageNotInflight", "ReceiptHandleIsInvalid"},
    "ChangeMessageVisibilityBatch": BATCH, "CreateQueue": ATTRIBUTES | {"QueueNameExists"},
    "DeleteMessage": {"ReceiptHandleIsInvalid"}, "DeleteMessageBatch": BATCH,
    "GetQueueAttributes": {"InvalidAttributeName"}, "PurgeQueue": {"PurgeQueueInProgress"},
    "ReceiveMessage": {"OverLimit", "InvalidAttributeName"}, "SendMessage": {"InvalidMessageContents"},
    "SendMessageBatch": BATCH | {"BatchRequestTooLong"}, "SetQueueAttributes": ATTRIBUTES,
    "StartMessageMoveTask": {"ResourceNotFoundException"}, "CancelMessageMoveTask": {"ResourceNotFoundException"},
    "ListMessageMoveTasks": {"ResourceNotFoundException"},
}

# The most of a member that is allowed, and its action where the name alone does not say.
INTEGER_MAX = {"DelaySeconds": 900, "VisibilityTimeout": 43200, "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10,
               "MaxResults": 1000, "ListMessageMoveTasks.MaxResults": 10, "MaxNumberOfMessagesPerSecond": 500}
TEXT_MAX = {"QueueName": 80, "Label": 80, "Id": 80, "MessageGroupId": 128, "MessageDeduplicationId": 128,
            "ReceiveRequestAttemptId": 128, "MessageBody": 1 << 20}
# Its total counts from the receive, so the whole of it is too much as soon as a second has passed.
SLACK = {"ChangeMessageVisibility.VisibilityTimeout": 60, "ChangeMessageVisibilityBatch.VisibilityTimeout": 60}
ITEMS_MAX = {"Entries": 10, "MessageAttributes": 10, "Tags": 50, "tags": 50, "Actions": 7}

ACTIONS_OF_POLICIES = ["SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes",
                       "GetQueueUrl", "PurgeQueue", "ListDeadLetterSourceQueues"]


def load():
    path = os.path.join(os.path.dirname(botocore.__file__), "data", "sqs", "2012-11-05", "service-2.json")
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    # In the form of the Query protocol, whatever this botocore would speak.
    model["metadata"]["protocol"] = "query"
    shapes = model["shapes"]
    shapes.update({"Long": {"type": "long"}, "MoveTaskList": LIST_OF_TASKS,
                   "MoveTask": {"type": "structure", "members": MOVE_TASK}})
    for action, (given, answered) in MOVE_TASKS.items():
        shapes[f"{action}Input"] = {"type": "structure", "members": given}
        shapes[f"{action}Output"] = {"type": "structure", "members": answered}
        model["operations"][action] = {
            "name": action, "http": {"method": "POST", "requestUri": "/"}, "input": {"shape": f"{action}Input"},
            "output": {"shape": f"{action}Output", "resultWrapper": f"{action}Result"}}
    return ServiceModel(model, "sqs")


class RightRequests:
    """For each action a request with all its members that is answered 200; `call` asks the server, in JSON."""

    def __init__(self, call):
        self.call = call
        self.made = 0
        self.url = self.queue()
        self.dead = self.queue("dead")
        self.call("CreateQueue", {"QueueName": "source", "Attributes": {"RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 3})}})
        self.task = self.call("StartMessageMoveTask", {"SourceArn": arn("dead")})["TaskHandle"]

    def queue(self, name=None):
        self.made += 1
        return self.call("CreateQueue", {"QueueName": name or f"made-{self.made}"})["QueueUrl"]

    def handle(self):
        url = self.queue()
        self.call("SendMessage", {"QueueUrl": url, "MessageBody": "x"})
        return url, self.call("ReceiveMessage", {"QueueUrl": url})["Messages"][0]["ReceiptHandle"]

    def message(self):
        return {"MessageBody": "body", "DelaySeconds": 0, "MessageGroupId": "g",
                "MessageAttributes": {"color": {"DataType": "String", "StringValue": "blue"},
                                      "blob": {"DataType": "Binary", "BinaryValue": b"\x01\x02"}},
                "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}}

    def of(self, action):
        queue = {"QueueUrl": self.url}
        if action == "AddPermission":
            return {"QueueUrl": self.queue(), "Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]}
        if action == "RemovePermission":
            url = self.queue()
            self.call("AddPermission", {"QueueUrl": url, "Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["*"]})
            return {"QueueUrl": url, "Label": "l"}
        if action in ("ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "DeleteMessage", "DeleteMessageBatch"):
            url, handle = self.handle()
            one = {"ReceiptHandle": handle}
            if action.startswith("Change"):
                one["VisibilityTimeout"] = 30
            return {"QueueUrl": url, **({"Entries": [{"Id": "a", **one}]} if action.endswith("Batch") else one)}
        if action == "CreateQueue":
            self.made += 1
            return {"QueueName": f"new-{self.made}", "Attributes": {"VisibilityTimeout": "30"}, "tags": {"team": "orders"}}
        if action in ("DeleteQueue", "PurgeQueue"):
            return {"QueueUrl": self.queue()}
        if action == "GetQueueAttributes":
            return {**queue, "AttributeNames": ["All"]}
        if action == "GetQueueUrl":
            return {"QueueName": "dead", "QueueOwnerAWSAccountId": "000000000000"}
        if action == "ListDeadLetterSourceQueues":
            return {"QueueUrl": self.dead, "MaxResults": 5}
        if action == "ListQueues":
            return {"QueueNamePrefix": "dead", "MaxResults": 5}
        if action == "ReceiveMessage":
            return {**queue, "AttributeNames": ["All"], "MessageAttributeNames": ["All"], "MaxNumberOfMessages": 1,
                    "VisibilityTimeout": 0, "WaitTimeSeconds": 0}
        if action == "SendMessage":
            return {**queue, **self.message()}
        if action == "SendMessageBatch":
            return {**queue, "Entries": [{"Id": "a", **self.message()}, {"Id": "b", "MessageBody": "b"}]}
        if action == "SetQueueAttributes":
            return {"QueueUrl": self.queue(), "Attributes": {"VisibilityTimeout": "60"}}
        if action == "TagQueue":
            return {"QueueUrl": self.queue(), "Tags": {"team": "orders"}}
        if action == "UntagQueue":
            return {**queue, "TagKeys": ["team"]}
        if action == "StartMessageMoveTask":
            return {"SourceArn": arn("dead"), "DestinationArn": arn("source"), "MaxNumberOfMessagesPerSecond": 5}
        if action == "ListMessageMoveTasks":
            return {"SourceArn": arn("dead"), "MaxResults": 5}
        if action == "CancelMessageMoveTask":
            return {"TaskHandle": self.task}
        return queue
