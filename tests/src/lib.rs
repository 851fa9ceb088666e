//! Nothing of the product: this package holds its end-to-end tests, in `tests/`.
