"""The sending half without a broker: submissions, validation, error queue, scanners, route."""
