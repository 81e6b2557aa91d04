"""Makes a standard queue, a FIFO queue and a queue with a dead-letter queue, sets attributes and a policy, and shows them."""

import json

import boto3

from endpoint import ENDPOINT

sqs = boto3.client('sqs', endpoint_url=ENDPOINT)


def create_standard_queue(queue_name):
    response = sqs.create_queue(
        QueueName=queue_name,
        Attributes={
            'VisibilityTimeout': '30',
            'MessageRetentionPeriod': '345600',  # 4 days
            'ReceiveMessageWaitTimeSeconds': '20'  # Long polling
        }
    )
    return response['QueueUrl']


def create_fifo_queue(queue_name):
    response = sqs.create_queue(
        QueueName=f'{queue_name}.fifo',
        Attributes={
            'FifoQueue': 'true',
            'ContentBasedDeduplication': 'true',
            'VisibilityTimeout': '30',
            'MessageRetentionPeriod': '345600'
        }
    )
    return response['QueueUrl']


def create_queue_with_dlq(queue_name, dlq_name):
    # Create DLQ first
    dlq_response = sqs.create_queue(QueueName=dlq_name)
    dlq_arn = sqs.get_queue_attributes(
        QueueUrl=dlq_response['QueueUrl'],
        AttributeNames=['QueueArn']
    )['Attributes']['QueueArn']

    # Create main queue with redrive policy
    redrive_policy = {
        'deadLetterTargetArn': dlq_arn,
        'maxReceiveCount': 3
    }
    response = sqs.create_queue(
        QueueName=queue_name,
        Attributes={
            'RedrivePolicy': json.dumps(redrive_policy),
            'VisibilityTimeout': '30'
        }
    )
    # Only this queue may send its dead letters there
    main_arn = sqs.get_queue_attributes(
        QueueUrl=response['QueueUrl'], AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    sqs.set_queue_attributes(
        QueueUrl=dlq_response['QueueUrl'],
        Attributes={
            'MessageRetentionPeriod': '1209600',  # 14 days
            'RedriveAllowPolicy': json.dumps({'redrivePermission': 'byQueue', 'sourceQueueArns': [main_arn]})
        }
    )
    return response['QueueUrl']


def configure_queue(queue_url):
    sqs.set_queue_attributes(
        QueueUrl=queue_url,
        Attributes={
            'VisibilityTimeout': '60',
            'MessageRetentionPeriod': '1209600',  # 14 days
            'ReceiveMessageWaitTimeSeconds': '20',  # Long polling
            'MaximumMessageSize': '262144',  # 256 KB
            'DelaySeconds': '0'
        }
    )


def allow_another_account(queue_url):
    queue_arn = sqs.get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    policy = {
        'Version': '2012-10-17',
        'Statement': [{
            'Sid': 'AllowCrossAccountAccess',
            'Effect': 'Allow',
            'Principal': {'AWS': 'arn:aws:iam::987654321098:root'},
            'Action': ['sqs:SendMessage', 'sqs:ReceiveMessage'],
            'Resource': queue_arn
        }, {
            'Sid': 'AllowSNS',
            'Effect': 'Allow',
            'Principal': {'Service': 'sns.amazonaws.com'},
            'Action': 'sqs:SendMessage',
            'Resource': queue_arn,
            'Condition': {'ArnEquals': {'aws:SourceArn': 'arn:aws:sns:us-east-1:123456789012:orders-topic'}}
        }]
    }
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={'Policy': json.dumps(policy)})


urls = [create_standard_queue('my-queue'), create_fifo_queue('my-queue'), create_queue_with_dlq('my-main-queue', 'my-dlq')]
sqs.tag_queue(QueueUrl=urls[0], Tags={'Environment': 'Production'})
configure_queue(urls[0])
allow_another_account(urls[0])
for page in sqs.get_paginator('list_queues').paginate(QueueNamePrefix='my-'):
    for url in page['QueueUrls']:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['All'])['Attributes']
        print(url.rsplit('/', 1)[1], 'keeps messages', attributes['MessageRetentionPeriod'], 's, hides them',
              attributes['VisibilityTimeout'], 's', attributes.get('RedrivePolicy', ''))
for url in [*urls, sqs.get_queue_url(QueueName='my-dlq')['QueueUrl']]:
    sqs.delete_queue(QueueUrl=url)
