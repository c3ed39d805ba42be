"""PyTorch's side of make bench-gpu: what a user would otherwise run, timed on demand.

Reads commands from standard input and answers each with one line of JSON, so that it and libhsched's process can
take turns on one GPU:

    time MIX PRECISION HOW ROUNDS   MIX is NETWORK[:COUNT],...; a sample is the time of one round, in which every
                                    network runs COUNT times, until the GPU is idle again
    forget                          drops all networks

PRECISION is tf32 or fp16. HOW:
    eager         one call after the other, as most programs are written (with several: a stream each)
    graph         one CUDA graph of the network, BatchNorm folded into the convolutions
    compile       torch.compile, mode reduce-overhead
    streams       for mixes: the graphs, each on a stream of its own; every instance has weights of its own
    shared        the same, but the instances of one network share their weights
    sequence      the graphs one after the other

HSCHED_BENCH_SMS in the environment, if not 0, confines it to so many of the GPU's multiprocessors, by a green context.

Networks are torchvision's with random weights, batch 1, 3x224x224, channels-last; inputs and outputs lie in the
GPU's memory. Every network is warm before it is timed.
"""
import copy
import json
import os
import sys
import time

import torch
import torch.fx.experimental.optimization
import torchvision

WARM_UP_ROUNDS = 20
built = {}   # network name -> module on the CPU
loaded = {}  # (mix, precision, kind) -> instances on the GPU
rounds_of = {}  # (mix, precision, how) -> a function that runs all once


def build(name):
    if name not in built:
        options = {"init_weights": False} if name == "googlenet" else {}
        built[name] = getattr(torchvision.models, name)(weights=None, **options).eval()
    return built[name]


def on_gpu(module, precision):
    module = copy.deepcopy(module).cuda().to(memory_format=torch.channels_last)
    return module.half() if precision == "fp16" else module


def image(precision):
    x = torch.rand(1, 3, 224, 224, device="cuda").to(memory_format=torch.channels_last)
    return x.half() if precision == "fp16" else x


def capture(module, x):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            module(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = module(x)
    return graph, y  # the graph writes there: it lives as long


class Instance:
    """One network of a mix: its module, input, stream and, if asked for, its CUDA graph."""

    def __init__(self, module, precision, with_graph):
        self.module, self.x = module, image(precision)
        self.stream = torch.cuda.Stream()
        if with_graph:
            self.graph, self.y = capture(module, self.x)


def instances(mix, precision, how):
    result = []
    for name, count in mix:
        folded = torch.fx.experimental.optimization.fuse(build(name))
        module = on_gpu(folded, precision)
        for i in range(count):
            own = how != "shared" and i > 0
            result.append(Instance(on_gpu(folded, precision) if own else module, precision, how != "eager"))
    return result


def compiled_round(mix, precision):
    (name, _), = mix
    module, x = on_gpu(build(name), precision), image(precision)
    call = torch.compile(module, mode="reduce-overhead")

    def one():
        with torch.no_grad():
            call(x)
    return one


def make_round(mix, precision, how):
    if how == "compile":
        return compiled_round(mix, precision)
    # sequence and streams replay the same graphs.
    key = (str(mix), precision, how if how in ("eager", "shared") else "own")
    if key not in loaded:
        loaded[key] = instances(mix, precision, how)
    rows = loaded[key]

    def eager():
        for row in rows:
            with torch.cuda.stream(row.stream):
                row.module(row.x)

    def streams():
        for row in rows:
            with torch.cuda.stream(row.stream):
                row.graph.replay()

    def sequence():
        for row in rows:
            row.graph.replay()

    def eager_alone():
        rows[0].module(rows[0].x)
    if how == "eager":
        return eager if len(rows) > 1 else eager_alone
    return sequence if how in ("graph", "sequence") else streams


def time_rounds(mix, precision, how, rounds):
    key = (str(mix), precision, how)
    if key not in rounds_of:
        rounds_of[key] = make_round(mix, precision, how)
        for _ in range(WARM_UP_ROUNDS):
            rounds_of[key]()
            torch.cuda.synchronize()
    one, samples = rounds_of[key], []
    for _ in range(3):
        one()
    torch.cuda.synchronize()
    for _ in range(rounds):
        begin = time.perf_counter()
        one()
        torch.cuda.synchronize()
        samples.append(round((time.perf_counter() - begin) * 1e6, 3))
    return {"samples_us": samples}


def execute(words):
    if words == ["forget"]:
        for table in (rounds_of, loaded, built):
            table.clear()
        torch._dynamo.reset()
        torch.cuda.empty_cache()
        return {}
    verb, text, precision, how, rounds = words
    if verb != "time" or precision not in ("tf32", "fp16"):
        return {"error": f"{' '.join(words)}: not understood"}
    mix = [(part.partition(":")[0], int(part.partition(":")[2] or 1)) for part in text.split(",")]
    for name, _ in mix:
        build(name)  # outside inference mode: torch.compile wants ordinary tensors
    if how == "compile":
        return time_rounds(mix, precision, how, int(rounds))
    with torch.inference_mode():
        return time_rounds(mix, precision, how, int(rounds))


def confine():
    """To a part of the GPU; the context is current from here on."""
    sms = int(os.environ.get("HSCHED_BENCH_SMS", "0"))
    if sms == 0:
        return None
    context = torch.cuda.green_contexts.GreenContext.create(num_sms=sms, device_id=0)
    context.set_context()
    return context


def main():
    partition = confine()  # it lives as long
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    # Whatever libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"pytorch": torch.__version__, "torchvision": torchvision.__version__,
                      "cudnn": torch.backends.cudnn.version(), "device": torch.cuda.get_device_name(0), "partition": partition is not None}),
          file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = execute(line.split())
        except Exception as error:  # told to the other side, which goes on with what can be measured
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
