"""AWS, as the viewer uses it: inspecting queues and redriving dead letters."""
