"""Kafka and Faust: topology, publisher, workers, topics and readers of the log.

topology.py is the table of topics and stages; docs/topology.md is generated from it.
worker/ runs stages, readers/ reads the log from outside, dead_letters/ holds parked events.
May import: mail, schemas. faust and aiokafka are imported here alone.
"""
