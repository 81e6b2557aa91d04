"""Every member of every action, as botocore's model has them, missing, empty, at its most and past it, of the wrong
type and among unknown ones, in both protocols: never a 5xx, never a connection dropped, only errors that are declared.

Arguments: millraced, millrace.
"""

import base64
import copy
import http.client
import json
import sys
import unittest
import xml.etree.ElementTree
from urllib.parse import urlencode

from botocore.serialize import create_serializer

import conformance_model as model
from server import serve

SERVICE = model.load()
SECONDS_MAX = 30
NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"
TYPE_PREFIX = {True: "com.amazon.coral.service#", False: "com.amazonaws.sqs#"}
MISSING = object()
# Whatever a member is, most of these are not it.
WRONG = [None, "", "text", "\x00", "\ufffe", "x" * 5000, 0, -1, 1.5, 2**63, 2**200, True, [], {}, [None], [{}], [[]],
         {"": ""}, {"a": {}}, {"DataType": 1}]
WRONG_TEXT = ["", "text", "\x00", "\ufffe", "x" * 5000, "0", "-1", "1.5", str(2**63), str(2**200), "true", " 1", "[]"]
UNKNOWN = "NobodyKnows"

SERVER = None


def as_json(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    return [as_json(each) for each in value] if isinstance(value, list) else value


def places(value, path=()):
    """Each member within a request, as the keys and indices that lead to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*path, key)
        yield from places(each, (*path, key))


def spoilt(request, path, value):
    request = copy.deepcopy(request)
    within = request
    for key in path[:-1]:
        within = within[key]
    if value is MISSING:
        del within[path[-1]]
    else:
        within[path[-1]] = value
    return request


def at(request, path):
    for key in path:
        request = request[key]
    return request


def many(items, count):
    """As many as `count`, of the kind that `items` are."""
    if isinstance(items, dict):
        value = list(items.values())[0]
        return {f"key-{n}": value for n in range(count)}
    if isinstance(items[0], dict):
        return [{**items[-1], "Id": str(n)} for n in range(count)]
    return model.ACTIONS_OF_POLICIES[:count]


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.connection = http.client.HTTPConnection(SERVER.http, timeout=SECONDS_MAX)
        cls.requests = 0
        cls.serializer = create_serializer("query", include_validation=False)
        cls.right = model.RightRequests(lambda action, request: json.loads(
            cls.exchange_json(action, request)[2] or "{}"))

    @classmethod
    def exchange(cls, body, headers):
        cls.requests += 1
        cls.connection.request("POST", "/", body, headers)
        answer = cls.connection.getresponse()
        content = answer.read()
        assert not answer.will_close, (answer.status, content)
        return answer.status, answer.headers, content

    @classmethod
    def exchange_json(cls, action, request):
        return cls.exchange(json.dumps(as_json(request)), {
            "X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-query-mode": "true"})

    def ask_json(self, action, request):
        """(error's JSON name or None, what was answered) of a well-formed answer."""
        status, headers, content = self.exchange_json(action, request)
        self.assertEqual("application/x-amz-json-1.0", headers["Content-Type"])
        self.assertRegex(headers["x-amzn-RequestId"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        output = SERVICE.operation_model(action).output_shape
        if status == 200:
            self.assertIsNone(headers["x-amzn-query-error"])
            if output is None:
                self.assertEqual(b"", content)
                return None, {}
            answer = json.loads(content)
            self.check_output(output, answer)
            return None, answer
        error = json.loads(content)
        self.assertEqual({"__type", "message"}, set(error))
        prefix, name = error["__type"].split("#")
        code, declared = model.ERRORS[name]
        self.assertEqual((TYPE_PREFIX[name in model.UNMODELED], declared, f"{code};Sender"),
                         (prefix + "#", status, headers["x-amzn-query-error"]))
        self.check_declared(action, name, error["message"])
        return name, {}

    def ask_query(self, action, parameters):
        status, headers, content = self.exchange(
            urlencode({"Action": action, "Version": "2012-11-05", **parameters}, errors="surrogatepass"),
            {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
        self.assertEqual("text/xml", headers["Content-Type"])
        root = xml.etree.ElementTree.fromstring(content)
        if status == 200:
            self.assertEqual(f"{NAMESPACE}{action}Response", root.tag)
            self.assertEqual(headers["x-amzn-RequestId"],
                             root.find(f"{NAMESPACE}ResponseMetadata/{NAMESPACE}RequestId").text)
            has_result = root.find(f"{NAMESPACE}{action}Result") is not None
            self.assertEqual(SERVICE.operation_model(action).output_shape is not None, has_result)
            failed = root.findall(f".//{NAMESPACE}BatchResultErrorEntry")
            return None, {"Failed": failed} if failed else {}
        self.assertEqual(f"{NAMESPACE}ErrorResponse", root.tag)
        error = root.find(f"{NAMESPACE}Error")
        kind, code, text = (error.find(NAMESPACE + part).text for part in ("Type", "Code", "Message"))
        self.assertEqual("Sender", kind)
        name = next(name for name, (each, _) in model.ERRORS.items() if each == code)
        self.assertEqual(model.ERRORS[name][1], status)
        self.check_declared(action, name, text)
        return name, {}

    def check_declared(self, action, name, text):
        self.assertTrue(text)
        self.assertIn(name, model.ANY_ACTION | model.MAY_ANSWER.get(action, set()), text)

    def check_output(self, shape, value):
        """Only members that the model has, of their types, and no empty lists or maps."""
        if shape.type_name == "structure":
            self.assertIsInstance(value, dict)
            for name, each in value.items():
                self.check_output(shape.members[name], each)
        elif shape.type_name in ("list", "map"):
            self.assertIsInstance(value, list if shape.type_name == "list" else dict)
            self.assertTrue(value)
            for each in value if shape.type_name == "list" else value.values():
                self.check_output(shape.member if shape.type_name == "list" else shape.value, each)
        else:
            kind = {"string": str, "blob": str, "boolean": bool}.get(shape.type_name, int)
            self.assertIsInstance(value, kind)

    def flat(self, action, request):
        body = self.serializer.serialize_to_request(request, SERVICE.operation_model(action))["body"]
        return {name: value for name, value in body.items() if name not in ("Action", "Version")}

    def both(self, action, path, change):
        """The same in both protocols, which must agree; the error's name or None, and whether an entry failed.
        `change` makes the value at the path from what is there."""
        def request():
            right = self.right.of(action)  # of the one before some is used up
            return spoilt(right, path, change(at(right, path)))
        in_json, answer = self.ask_json(action, request())
        in_query, other = self.ask_query(action, self.flat(action, request()))
        self.assertEqual((in_json, "Failed" in answer), (in_query, "Failed" in other))
        return in_json, "Failed" in answer

    def for_each_action(self):
        for action in SERVICE.operation_names:
            with self.subTest(action=action):
                yield action

    def test_all_23_actions_answer_a_right_request_and_ignore_what_they_do_not_know(self):
        self.assertEqual(23, len(SERVICE.operation_names))
        for action in self.for_each_action():
            if action == "CancelMessageMoveTask":
                continue  # its task has ended long since
            for more in ({}, {UNKNOWN: "x"}, {UNKNOWN: {"a": [1, None]}}, {UNKNOWN: None}):
                name, answer = self.ask_json(action, {**self.right.of(action), **more})
                if action == "StartMessageMoveTask" and name is not None:
                    self.assertEqual("InvalidParameterValueException", name)  # one is running
                    continue
                self.assertEqual((None, False), (name, "Failed" in answer))
            request = self.flat(action, self.right.of(action))
            name, answer = self.ask_query(action, {**request, UNKNOWN: "x", f"{UNKNOWN}.1.Value": ""})
            if action != "StartMessageMoveTask":
                self.assertEqual((None, False), (name, "Failed" in answer))

    def test_a_member_that_is_missing_is_missing_in_both_protocols_and_null_is_missing(self):
        for action in self.for_each_action():
            required = SERVICE.operation_model(action).input_shape.required_members
            for path in list(places(self.right.of(action))):
                if action == "StartMessageMoveTask" or isinstance(path[-1], int):
                    continue
                with self.subTest(path=path):
                    def ask(value):
                        name, answer = self.ask_json(action, spoilt(self.right.of(action), path, value))
                        return name, "Failed" in answer
                    missing = ask(MISSING)
                    if isinstance(at(self.right.of(action), path[:-1]), dict) and path[0] not in (
                            "Attributes", "tags", "Tags") and path[-1] not in ("color", "blob", "AWSTraceHeader"):
                        self.assertEqual(missing, ask(None))
                    if len(path) == 1 and path[0] in required:
                        self.assertIn(missing[0], {"MissingRequiredParameterException", "QueueDoesNotExist",
                                                   "InvalidParameterValueException"})
                    query = self.flat(action, spoilt(self.right.of(action), path, MISSING))
                    in_query, answer = self.ask_query(action, query)
                    if path == ("Entries",):
                        # Query has no way to say an empty list, so none there is one.
                        self.assertEqual(("MissingRequiredParameterException", "EmptyBatchRequest"),
                                         (missing[0], in_query))
                    else:
                        self.assertEqual(missing, (in_query, "Failed" in answer))

    def test_a_member_of_the_wrong_type_is_refused_or_taken_and_never_more_in_json(self):
        for action in self.for_each_action():
            for path in list(places(self.right.of(action))):
                for wrong in WRONG:
                    with self.subTest(path=path, wrong=wrong if wrong != "x" * 5000 else "5000 x"):
                        self.ask_json(action, spoilt(self.right.of(action), path, wrong))
            for body in ("", "{", "[]", '"text"', "1", "null", "{}", '{"QueueUrl":', "[" * 500, '{"QueueUrl":"\ud800"}'):
                with self.subTest(body=body):
                    status, _, content = self.exchange(body.encode("utf-8", "surrogatepass"), {
                        "X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"})
                    self.assertLess(status, 500, content)

    def test_a_parameter_that_is_wrong_is_refused_or_taken_and_never_more_in_query(self):
        for action in self.for_each_action():
            for name in self.flat(action, self.right.of(action)):
                for wrong in WRONG_TEXT:
                    with self.subTest(name=name, wrong=wrong[:20]):
                        self.ask_query(action, {**self.flat(action, self.right.of(action)), name: wrong})
                spoilt_names = {f"{name}.1", f"{name}.1.Value", f"{name}.0", f"{name}.-1.Name", f"{name}.{2**64}", f".{name}"}
                for spoilt_name in spoilt_names:
                    with self.subTest(name=spoilt_name):
                        self.ask_query(action, {**self.flat(action, self.right.of(action)), spoilt_name: "1"})

    def test_of_numbers_and_texts_the_most_is_taken_and_one_more_refused(self):
        tried = 0
        for action in self.for_each_action():
            for path in list(places(self.right.of(action))):
                name = path[-1]
                most = model.INTEGER_MAX.get(f"{action}.{name}", model.INTEGER_MAX.get(name))
                if most is not None:
                    most, more = most - model.SLACK.get(f"{action}.{name}", 0), most + 1
                elif name in model.TEXT_MAX:
                    # Of the message's bytes the attributes are part; the group's name is not.
                    most = model.TEXT_MAX[name] - (len("colorStringblueblobBinary") + 2 if name == "MessageBody" else 0)
                    most, more = "x" * most, "x" * (most + 1)
                else:
                    continue
                tried += 1
                with self.subTest(path=path):
                    for value, good in ((most, True), (more, False)):
                        if name == "WaitTimeSeconds" and good:
                            for _ in range(2):  # so that it need not wait
                                self.right.call("SendMessage", {"QueueUrl": self.right.url, "MessageBody": "x"})
                        if (action, name) in (("RemovePermission", "Label"), ("GetQueueUrl", "QueueName")) or (
                                action == "StartMessageMoveTask" and good):
                            continue  # there is none of that name; one is running
                        if action == "SendMessageBatch" and name == "MessageBody":
                            continue  # the sum of both entries is past its most first
                        error, failed = self.both(action, path, lambda now: type(now)(value))
                        self.assertEqual(good, error is None and not failed)
        self.assertGreater(tried, 20)

    def test_of_lists_and_maps_the_most_is_taken_and_one_more_refused(self):
        for action in self.for_each_action():
            for path in list(places(self.right.of(action))):
                if path[-1] not in model.ITEMS_MAX:
                    continue
                most = model.ITEMS_MAX[path[-1]]
                for count, good in ((most, True), (most + 1, False), (0, None)):
                    with self.subTest(path=path, count=count):
                        error, failed = self.both(action, path, lambda items: many(items, count))
                        if good is not None:
                            self.assertEqual(good, error is None and not failed)

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.requests} requests on one connection", file=sys.stderr)
        cls.connection.close()


if __name__ == "__main__":
    SERVER = serve("--durability", "none")
    unittest.main(argv=sys.argv[:1])
