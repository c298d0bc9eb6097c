"""Models behind plain HTTP: DeepSeek and Gemini, both optional and off as shipped."""
