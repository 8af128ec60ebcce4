"""Times updates of the PyTorch reference on request: one line on stdin (`guidance` or `generator`, and a number of updates)
gives one line of JSON on stdout with the milliseconds of each. Usage: update_reference.py REFERENCE_FOLDER THREADS BATCH"""
import json, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from dd2_ref import ARDiff, FlatAdam, Teacher, csd_loss_sid, fcs_loss, gen_forward

torch.set_num_threads(int(sys.argv[2])); torch.set_flush_denormal(True); torch.manual_seed(0)
batch, n, d, vocabulary = int(sys.argv[3]), 16, 6, 128
codes = torch.randn(vocabulary, d)
teacher = Teacher(d, n, vocabulary).eval().requires_grad_(False)
generator, guidance = ARDiff(d, n), ARDiff(d, n)
optimizers = dict(generator=FlatAdam(generator, 1e-4, (0, .99)), guidance=FlatAdam(guidance, 1e-3, (.9, .99)))


def samples():
    classes = torch.randint(10, (batch,))
    return classes, gen_forward(generator, classes, torch.randn(batch, n, d))


def update(network):
    if network == 'guidance':
        with torch.no_grad():
            classes, x = samples()
        loss = fcs_loss(guidance, x, classes, 2, 'l', codes)
    else:
        classes, x = samples()
        loss = csd_loss_sid(teacher, guidance, x, classes, codes, 4, 'l', norm='t', snap=2, alpha=1.0)
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    loss.backward()
    optimizers[network].step()


for line in sys.stdin:
    network, count = line.split()
    times = []
    for _ in range(int(count)):
        start = time.perf_counter()
        update(network)
        times.append((time.perf_counter() - start) * 1000)
    print(json.dumps(times), flush=True)
