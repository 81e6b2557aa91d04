"""What fails too often is set aside, looked at, and some of it goes back by a move task (boto3 from 1.26.142 on)."""

import json
import time

import boto3

from endpoint import ENDPOINT

sqs = boto3.client('sqs', endpoint_url=ENDPOINT)
dlq_url = sqs.create_queue(QueueName='orders-dlq', Attributes={'MessageRetentionPeriod': '1209600'})['QueueUrl']
main_queue_url = sqs.create_queue(QueueName='orders-queue', Attributes={'VisibilityTimeout': '0'})['QueueUrl']
dlq_arn, main_arn = (sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
                     for url in (dlq_url, main_queue_url))


def configure_dlq():
    """Configure Dead Letter Queue"""
    # Set redrive policy on main queue
    redrive_policy = {
        'deadLetterTargetArn': dlq_arn,
        'maxReceiveCount': 3  # Move to DLQ after 3 failed attempts
    }
    sqs.set_queue_attributes(
        QueueUrl=main_queue_url,
        Attributes={
            'RedrivePolicy': json.dumps(redrive_policy)
        }
    )


def process_with_dlq(process_message):
    """Process messages with DLQ handling, until there are none"""
    while True:
        response = sqs.receive_message(
            QueueUrl=main_queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=1
        )
        messages = response.get('Messages', [])
        if not messages:
            return
        for message in messages:
            try:
                data = json.loads(message['Body'])
                process_message(data)
                sqs.delete_message(
                    QueueUrl=main_queue_url,
                    ReceiptHandle=message['ReceiptHandle']
                )
            except Exception as e:
                print(f"Error processing message: {e}")
                # Message will be retried automatically
                # After maxReceiveCount, it will move to DLQ


def process_dlq(count):
    """Process messages from dead letter queue."""
    response = sqs.receive_message(
        QueueUrl=dlq_url,
        MaxNumberOfMessages=count,
        WaitTimeSeconds=20,
        AttributeNames=['All'],
        MessageAttributeNames=['All']
    )
    for message in response.get('Messages', []):
        body = json.loads(message['Body'])
        attributes = message.get('Attributes', {})
        print(f"DLQ Message: order {body['order_id']}")
        print(f"  Receive Count: {attributes.get('ApproximateReceiveCount')}")
        # Delete from DLQ after handling
        sqs.delete_message(
            QueueUrl=dlq_url,
            ReceiptHandle=message['ReceiptHandle']
        )


def redrive_dlq_messages():
    sqs.start_message_move_task(
        SourceArn=dlq_arn,
        DestinationArn=main_arn,
        MaxNumberOfMessagesPerSecond=10
    )
    while True:
        task = sqs.list_message_move_tasks(SourceArn=dlq_arn)['Results'][0]
        if task['Status'] != 'RUNNING':
            print('redrive', task['Status'], task['ApproximateNumberOfMessagesMoved'], 'moved')
            return
        time.sleep(0.1)


def broken(data):
    raise ValueError(f"the database is away, order {data['order_id']} failed")


configure_dlq()
for number in range(3):
    sqs.send_message(QueueUrl=main_queue_url, MessageBody=json.dumps({'order_id': number}))
process_with_dlq(broken)
process_dlq(1)
if hasattr(sqs, 'start_message_move_task'):
    redrive_dlq_messages()
    process_with_dlq(lambda data: print(f"order {data['order_id']} processed"))
else:
    print('this boto3 knows no move tasks; `millrace redrive orders-dlq` does the same')
for url in (main_queue_url, dlq_url):
    sqs.delete_queue(QueueUrl=url)
