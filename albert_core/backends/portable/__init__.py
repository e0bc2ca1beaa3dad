"""Code for any backend, written with `keras.ops`, that both packages build on."""
