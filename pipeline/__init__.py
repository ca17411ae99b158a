"""What producer, consumer and viewer share: settings, the message, AWS, the store, health, logs."""
