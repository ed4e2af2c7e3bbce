"""Tests of delivery to other servers, over ports in memory."""
