"""The state of requests, and the stages that carry one from messages to events."""
