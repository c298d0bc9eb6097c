"""The exchange calendar from the exchange_calendars package."""
