"""Pretraining: masked language modelling and sentence order on compact records."""
