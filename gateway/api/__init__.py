"""HTTP: schemas, routes, errors as OpenAI spells them."""
