"""What a hostile stranger or user does to a running stack, and what others still get.

Each scenario is many times stronger than a healthy stack needs: where a defence is missing the
victim waits minutes, so that no limit of time has to be tight.
"""
