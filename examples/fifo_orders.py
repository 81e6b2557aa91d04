"""Orders of one customer are processed in order, orders of different customers side by side, a repeated send is one."""

import json

import boto3

from endpoint import ENDPOINT

sqs = boto3.client('sqs', endpoint_url=ENDPOINT)
queue_url = sqs.create_queue(
    QueueName='orders-queue.fifo',
    Attributes={
        'FifoQueue': 'true',
        'ContentBasedDeduplication': 'false',  # We'll provide deduplication IDs
        'DeduplicationScope': 'messageGroup',
        'FifoThroughputLimit': 'perMessageGroupId',
        'VisibilityTimeout': '300'
    }
)['QueueUrl']


def send_to_fifo_queue(order: dict):
    """Send message to FIFO queue with deduplication."""
    response = sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps(order),
        MessageGroupId=order['customer_id'],  # Orders for same customer processed in order
        MessageDeduplicationId=f"order-{order['id']}-{order['version']}"  # Prevent duplicates
    )
    return response['MessageId']


for version in (1, 2, 3):
    for customer in ('alice', 'bob'):
        order = {'id': 7, 'version': version, 'customer_id': customer}
        first = send_to_fifo_queue(order)
        print(customer, version, 'stored,', 'sent again: the same' if send_to_fifo_queue(order) == first else 'sent twice')

while True:
    messages = sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=1, AttributeNames=['All']).get('Messages', [])
    if not messages:
        break
    order = json.loads(messages[0]['Body'])
    print('processing', order['customer_id'], order['version'])
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=messages[0]['ReceiptHandle'])
sqs.delete_queue(QueueUrl=queue_url)
