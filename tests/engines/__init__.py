"""Real clusters of Flink and Spark on this machine, and Beam's job servers for them."""
