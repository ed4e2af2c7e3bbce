"""Version of the topics and their settings, which are in streams/topology.py.

A new topic, or another setting of a topic, needs a higher version (tests/rules/test_schemas.py).
"""

TOPICS_VERSION = 1
