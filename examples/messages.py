"""Sends messages one by one, with attributes, delayed and in batches; receives by long polling, deletes, purges."""

import json

import boto3

from endpoint import ENDPOINT

sqs = boto3.client('sqs', endpoint_url=ENDPOINT)
queue_url = sqs.create_queue(QueueName='order-queue')['QueueUrl']


def send_order_message(order_data):
    """Producer: Send order to queue"""
    response = sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps(order_data),
        MessageAttributes={
            'OrderId': {
                'StringValue': order_data['order_id'],
                'DataType': 'String'
            },
            'Priority': {
                'StringValue': order_data.get('priority', 'normal'),
                'DataType': 'String'
            }
        }
    )
    return response['MessageId']


def schedule_message(message_data, delay_seconds):
    """Schedule message to be processed after delay"""
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps(message_data),
        DelaySeconds=delay_seconds  # 0-900 seconds (15 minutes)
    )


def send_batch_messages(messages):
    entries = []
    for i, msg in enumerate(messages):
        entries.append({
            'Id': str(i),
            'MessageBody': json.dumps(msg),
            'MessageAttributes': {
                'Priority': {
                    'StringValue': msg.get('priority', 'normal'),
                    'DataType': 'String'
                }
            }
        })
    response = sqs.send_message_batch(
        QueueUrl=queue_url,
        Entries=entries
    )
    return response


def receive_messages(max_messages=10, wait_time=20):
    """Receive messages with long polling"""
    response = sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=max_messages,
        WaitTimeSeconds=wait_time,  # Long polling
        MessageAttributeNames=['All']
    )
    return response.get('Messages', [])


def delete_batch_messages(messages):
    """Delete multiple messages"""
    entries = []
    for i, msg in enumerate(messages):
        entries.append({
            'Id': str(i),
            'ReceiptHandle': msg['ReceiptHandle']
        })
    sqs.delete_message_batch(
        QueueUrl=queue_url,
        Entries=entries
    )


send_order_message({'order_id': '123', 'email': 'user@test.com', 'priority': 'high'})
schedule_message({'order_id': 'later', 'type': 'email_reminder', 'user_id': '123'}, delay_seconds=1)
answer = send_batch_messages([{'order_id': str(n)} for n in range(3)])
print('stored', len(answer['Successful']), 'of a batch of 3')

received = 0
while received < 5:
    messages = receive_messages()
    for message in messages:
        order = json.loads(message['Body'])
        priority = message.get('MessageAttributes', {}).get('Priority', {}).get('StringValue', 'none')
        print('order', order['order_id'], 'with priority', priority)
    received += len(messages)
    if len(messages) == 1:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=messages[0]['ReceiptHandle'])
    else:
        delete_batch_messages(messages)

sqs.send_message(QueueUrl=queue_url, MessageBody='not wanted any more')
sqs.purge_queue(QueueUrl=queue_url)
attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=['All'])['Attributes']
print('left:', attributes['ApproximateNumberOfMessages'], 'ready,',
      attributes['ApproximateNumberOfMessagesNotVisible'], 'in flight')
sqs.delete_queue(QueueUrl=queue_url)
