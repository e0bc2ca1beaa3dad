"""What products in float32 cost on a TPU: `python tests/benchmarks/tpu_precision.py`.

Compiles two feed-forward layers, forward and with their gradient, for a TPU v5e that is not there,
with factors rounded to bfloat16 (JAX's default) and in float32. Prints the CPU seconds of each
compilation and the cycles that the compiler expects. Needs the extra `tpu`.
"""

import os
import re
import time

os.environ.update(
    JAX_PLATFORMS="cpu",
    TPU_SKIP_MDS_QUERY="1",
    TPU_ACCELERATOR_TYPE="v5litepod-4",
    TPU_WORKER_HOSTNAMES="localhost",
    TPU_WORKER_ID="0",
)

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

ROWS, HIDDEN, INTERMEDIATE = 2048, 256, 1024


def layers(x: jax.Array, inner: jax.Array, outer: jax.Array) -> jax.Array:
    """Return the sum of what two feed-forward layers with the same weights make of x."""
    for _ in range(2):
        x = jnp.tanh(jnp.tanh(x @ inner) @ outer)
    return x.sum()


def main() -> None:
    """Compile and print."""
    topology = topologies.get_topology_desc(
        platform="tpu", topology_name="v5e:1x1", chips_per_host_bounds=[1, 1, 1]
    )
    mesh = topologies.make_mesh(topology, (1,), ("data",))
    place = NamedSharding(mesh, PartitionSpec())
    arguments = [
        jax.ShapeDtypeStruct(shape, "float32", sharding=place)
        for shape in ((ROWS, HIDDEN), (HIDDEN, INTERMEDIATE), (INTERMEDIATE, HIDDEN))
    ]
    functions = {"forward": layers, "gradient": jax.grad(layers, argnums=(1, 2))}
    for precision in ("bfloat16", "highest"):
        for name, function in functions.items():
            start = time.process_time()
            with jax.default_matmul_precision(precision):
                compiled = jax.jit(function).lower(*arguments).compile()
            seconds = time.process_time() - start
            cycles = sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', compiled.as_text())))
            print(f"{precision} {name}: {seconds:.1f} CPU s, {cycles:,} cycles", flush=True)


if __name__ == "__main__":
    main()
