#!/usr/bin/env bash
# A queue from its making to its end, with the AWS command line.
set -euo pipefail

endpoint=${SQS_ENDPOINT:-http://127.0.0.1:9324}
export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=
aws() { command aws --endpoint-url "$endpoint" --output text "$@"; }

# Create standard queue
aws sqs create-queue --queue-name my-queue >/dev/null
queue_url=$(aws sqs get-queue-url --queue-name my-queue)

# Create FIFO queue (must end with .fifo)
fifo_url=$(aws sqs create-queue \
  --queue-name my-queue.fifo \
  --attributes FifoQueue=true,ContentBasedDeduplication=true)
aws sqs list-queues --queue-name-prefix my-queue --query 'length(QueueUrls)'

# Visibility timeout, retention period and long polling
aws sqs set-queue-attributes \
  --queue-url "$queue_url" \
  --attributes VisibilityTimeout=60,MessageRetentionPeriod=1209600,ReceiveMessageWaitTimeSeconds=20

# A policy from a file, as an attribute's value
policy=$(mktemp)
trap 'rm -f "$policy"' EXIT
cat >"$policy" <<'POLICY'
{"Policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"AllowCrossAccountAccess\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::987654321098:root\"},\"Action\":[\"sqs:SendMessage\",\"sqs:ReceiveMessage\"],\"Resource\":\"arn:aws:sqs:us-east-1:000000000000:my-queue\"}]}"}
POLICY
aws sqs set-queue-attributes --queue-url "$queue_url" --attributes "file://$policy"
aws sqs get-queue-attributes --queue-url "$queue_url" --attribute-names VisibilityTimeout \
  --query Attributes.VisibilityTimeout

# Send message, with attributes, with delay
aws sqs send-message --queue-url "$queue_url" --message-body "Hello, SQS!" --query MD5OfMessageBody
aws sqs send-message \
  --queue-url "$queue_url" \
  --message-body "Hello, SQS!" \
  --message-attributes 'Priority={DataType=String,StringValue=High}' --query MD5OfMessageAttributes
aws sqs send-message \
  --queue-url "$queue_url" \
  --message-body "Delayed message" \
  --delay-seconds 60 >/dev/null

# Receive with long polling, up to ten at once, and delete
aws sqs receive-message \
  --queue-url "$queue_url" \
  --message-attribute-names All \
  --wait-time-seconds 20 \
  --max-number-of-messages 10 --query 'Messages[].[Body, MessageAttributes.Priority.StringValue]'
receipt_handle=$(aws sqs send-message --queue-url "$fifo_url" --message-body order --message-group-id g >/dev/null &&
  aws sqs receive-message --queue-url "$fifo_url" --query 'Messages[0].ReceiptHandle')
aws sqs delete-message --queue-url "$fifo_url" --receipt-handle "$receipt_handle"

# Purge all messages
aws sqs purge-queue --queue-url "$queue_url"
aws sqs get-queue-attributes --queue-url "$queue_url" --attribute-names All \
  --query 'Attributes.[ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible, ApproximateNumberOfMessagesDelayed]'
aws sqs delete-queue --queue-url "$queue_url"
aws sqs delete-queue --queue-url "$fifo_url"
