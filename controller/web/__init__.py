"""The agents' API, the operators' API, the customer page, the status page, and who may use them."""
