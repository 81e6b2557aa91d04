"""Publishes order events to a topic; one queue gets all of them, another only what it has to act on."""

import json
import time

import boto3

from endpoint import ENDPOINT

sns = boto3.client('sns', endpoint_url=ENDPOINT)
sqs = boto3.client('sqs', endpoint_url=ENDPOINT)

topic_arn = sns.create_topic(Name='orders-topic')['TopicArn']


def subscribe(queue_name, event_types):
    """A queue that gets the events of these types, as they are published."""
    queue_url = sqs.create_queue(QueueName=queue_name)['QueueUrl']
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    # The queue has to let the topic send.
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={'Policy': json.dumps({
        'Version': '2012-10-17',
        'Statement': [{
            'Sid': 'AllowSNS',
            'Effect': 'Allow',
            'Principal': {'Service': 'sns.amazonaws.com'},
            'Action': 'sqs:SendMessage',
            'Resource': queue_arn,
            'Condition': {'ArnEquals': {'aws:SourceArn': topic_arn}}
        }]
    })})
    sns.subscribe(TopicArn=topic_arn, Protocol='sqs', Endpoint=queue_arn, Attributes={
        'RawMessageDelivery': 'true',
        'FilterPolicy': json.dumps({'event_type': event_types})
    })
    return queue_url


def publish_order_event(order, event_type):
    """Publish order event to SNS with message attributes."""
    return sns.publish(
        TopicArn=topic_arn,
        Message=json.dumps(order),
        MessageAttributes={
            'event_type': {'DataType': 'String', 'StringValue': event_type},
            'customer_tier': {'DataType': 'String', 'StringValue': order.get('customer_tier', 'standard')}
        }
    )['MessageId']


def receive_all(queue_url):
    """Reads until a long poll brings nothing more."""
    events = []
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1,
                                       MessageAttributeNames=['event_type']).get('Messages', [])
        if not messages:
            break
        for message in messages:
            events.append((json.loads(message['Body'])['id'], message['MessageAttributes']['event_type']['StringValue']))
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message['ReceiptHandle'])
    return sorted(events)


queues = {
    'orders': subscribe('orders', ['order.created', 'order.updated']),
    'inventory': subscribe('inventory', ['order.created'])
}
publish_order_event({'id': 1, 'total': 42}, 'order.created')
publish_order_event({'id': 1, 'total': 40}, 'order.updated')
publish_order_event({'id': 2, 'total': 7, 'customer_tier': 'gold'}, 'order.created')
publish_order_event({'id': 2}, 'order.viewed')

for name, url in queues.items():
    for order_id, event in receive_all(url):
        print(f'{name}: order {order_id} {event}')
    sqs.delete_queue(QueueUrl=url)
sns.delete_topic(TopicArn=topic_arn)
