"""The producer: publishes greetings to the topic."""
