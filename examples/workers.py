"""Load levelling: a producer hands out work, several workers share it, each item is done once."""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3

from endpoint import ENDPOINT

sqs = boto3.client('sqs', endpoint_url=ENDPOINT)
work_queue_url = sqs.create_queue(QueueName='work-queue')['QueueUrl']
done = []


def process_work_item(work_item):
    done.append(work_item['item'])


def distribute_work(items):
    """Distribute work items across queue"""
    for item in items:
        sqs.send_message(
            QueueUrl=work_queue_url,
            MessageBody=json.dumps(item)
        )


def worker():
    """Worker process: Process work items, until there are none for a second"""
    while True:
        response = sqs.receive_message(
            QueueUrl=work_queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=1,
            VisibilityTimeout=60
        )
        messages = response.get('Messages', [])
        if not messages:
            return
        for message in messages:
            try:
                work_item = json.loads(message['Body'])
                process_work_item(work_item)
                sqs.delete_message(
                    QueueUrl=work_queue_url,
                    ReceiptHandle=message['ReceiptHandle']
                )
            except Exception as e:
                print(f"Error processing work item: {e}")


# Run multiple workers
def run_workers(num_workers=5):
    """Run multiple worker threads"""
    with ThreadPoolExecutor(max_workers=num_workers) as executor:
        for _ in range(num_workers):
            executor.submit(worker)


distribute_work([{'item': n} for n in range(50)])
run_workers()
print(len(done), 'items done,', len(set(done)), 'different ones')
sqs.delete_queue(QueueUrl=work_queue_url)
