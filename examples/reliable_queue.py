"""Stores send messages, some without store_id. Those are poison: processed in vain twice, then set aside.

The consumer never deletes what it could not process. It comes back when its visibility timeout ends, and after two
receives the queue moves it to the dead-letter queue, where its id and its attributes are as they were.
"""

import datetime
import json
import random

import boto3

from endpoint import ENDPOINT

sqs = boto3.client('sqs', endpoint_url=ENDPOINT)
dlq_url = sqs.create_queue(QueueName='dlq_for_reliable_q')['QueueUrl']
dlq_arn = sqs.get_queue_attributes(QueueUrl=dlq_url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
q_url = sqs.create_queue(
    QueueName='reliable_q',
    Attributes={
        'VisibilityTimeout': '1',
        'RedrivePolicy': json.dumps({'deadLetterTargetArn': dlq_arn, 'maxReceiveCount': 2})
    }
)['QueueUrl']
MESSAGES = 30


def send_messages(count):
    bad = 0
    for _ in range(count):
        msg_attr = {
            'project': {'DataType': 'String', 'StringValue': 'Reliable Queues with Dead-Letter-Queue'},
            'contact_me': {'DataType': 'String', 'StringValue': 'github.com/miztiik'},
            'ts': {'DataType': 'Number', 'StringValue': str(int(datetime.datetime.now().timestamp()))},
            'store_id': {'DataType': 'Number', 'StringValue': str(random.randint(1, 5))}
        }
        if random.random() < 0.3 or bad == 0:
            del msg_attr['store_id']
            bad += 1
        msg_body = {'name': random.choice(['Shifter', 'Mystique']), 'gender': random.choice('FM'),
                    'data_share_consent': random.choice([True, False]),
                    'evnt_time': datetime.datetime.now().isoformat()}
        sqs.send_message(QueueUrl=q_url, MessageBody=json.dumps(msg_body), MessageAttributes=msg_attr)
    return {'status': True, 'msg_cnt': count, 'bad_msg': bad}


def process_msgs(messages):
    for message in messages:
        if 'store_id' not in message.get('MessageAttributes', {}):
            raise Exception(json.dumps({'missing_store_id': True}))
        sqs.delete_message(QueueUrl=q_url, ReceiptHandle=message['ReceiptHandle'])


sent = send_messages(MESSAGES)
print(json.dumps({'message': sent}))

processed = failed = 0
while True:
    messages = sqs.receive_message(
        QueueUrl=q_url, MaxNumberOfMessages=1, WaitTimeSeconds=3, MessageAttributeNames=['All']).get('Messages', [])
    if not messages:
        break
    try:
        process_msgs(messages)
        processed += 1
    except Exception as e:
        failed += 1
print(f"processed {processed}, failed {failed} times")
assert processed == sent['msg_cnt'] - sent['bad_msg'] and failed == 2 * sent['bad_msg']

in_dlq = 0
while True:
    messages = sqs.receive_message(QueueUrl=dlq_url, MaxNumberOfMessages=10, AttributeNames=['All'],
                                   MessageAttributeNames=['All']).get('Messages', [])
    if not messages:
        break
    for message in messages:
        assert 'store_id' not in message['MessageAttributes']
        assert int(message['Attributes']['ApproximateReceiveCount']) > 2
        sqs.delete_message(QueueUrl=dlq_url, ReceiptHandle=message['ReceiptHandle'])
        in_dlq += 1
print(f"{in_dlq} in the dead-letter queue")
assert in_dlq == sent['bad_msg']
for url in (q_url, dlq_url):
    sqs.delete_queue(QueueUrl=url)
