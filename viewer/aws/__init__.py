"""What the viewer asks of SNS and SQS: what the queues hold, and redriving dead letters."""
