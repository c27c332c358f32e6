"""The domain library: specs, content, data, training, aggregation, verification. Does not depend on Dagster and starts
no network service.
"""
