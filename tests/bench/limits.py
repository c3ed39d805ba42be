"""What limits a network: what it does a second, held against what this machine can do at most."""
import json
import subprocess

import hsched


def ceilings(threads):
    """Of so many threads: GFLOP/s of multiply-adds and GB/s of a copy; None where the program is missing."""
    path = hsched.BUILD / "bench" / "ceilings"
    if not path.exists():
        print(f"{path} is missing: what networks reach is not held against the machine ('make {path}')")
        return None
    return json.loads(subprocess.run([str(path), str(threads)], check=True, capture_output=True,
                                     text=True).stdout)


def of(network, ms):
    """GFLOP/s and GB/s."""
    return network.flops / ms * 1e-6, network.bytes / ms * 1e-6


def table(rows, networks, threads):
    """Prints it; adds the figures to the rows and gives the ceilings."""
    most = ceilings(threads)
    if not most:
        return None
    print(f"\nwhat it reaches, where {threads} thread{'s' * (threads > 1)} can do {most['gflops']:.0f} GFLOP/s "
          f"and copy {most['copy_gbs']:.1f} GB/s")
    print(f"{'':24} {'GFLOP':>9} {'MB':>9} {'GFLOP/s':>9} {'of most':>8} {'GB/s':>8} {'of copy':>8}")
    for row, network in zip(rows, networks):
        gflops, gbs = of(network, row["hsched_ms"])
        row |= {"gflops": gflops, "gbs": gbs}
        if not network.flops:
            continue
        print(f"{network.name:24} {network.flops * 1e-9:9.4g} {network.bytes * 1e-6:9.4g} {gflops:9.1f} "
              f"{gflops / most['gflops']:8.0%} {gbs:8.1f} {gbs / most['copy_gbs']:8.0%}")
    return most
