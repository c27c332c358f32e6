"""The domain library: specs, content, data, training, aggregation, verification. No Dagster, no network services."""
