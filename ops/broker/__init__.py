"""Brokers as the people who run Liandong meet them: the embedded one, and the configuration for Mosquitto."""
