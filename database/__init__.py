"""The database: its engine, schema, column types and transactions."""
