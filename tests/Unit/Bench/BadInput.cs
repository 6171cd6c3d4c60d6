// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Every wrong command line and every refusing environment: one line on stderr, nothing on stdout, the exit code of the table in house.md.</summary>
public sealed class BadInput
{
    // What is built is asked, not repeated: the lines stay right when a workload or an answer is added.
    private static string Workloads => string.Join(", ", WorkloadList.All.Select(w => w.Name));
    private static string Commands => string.Join(", ", CommandTree.Build(new OptionSet(), null!).Subcommands.Select(c => c.Name));
    private static string AllEras => string.Join(", ", Eras.All.Select(e => e.Name));
    private static string Axes => string.Join(", ", Enum.GetValues<Axis>().Select(Eras.NameOf));

    public static TheoryData<string, string, int, string> Table => new()
    {
        { "", "", 2, "which command? " + Commands + ". See: memcgnative --help" },
        { "", "runn fault", 2, "unknown command 'runn'; did you mean 'run'? Known: " + Commands },
        { "", "frobnicate", 2, "unknown command 'frobnicate'. Known: " + Commands },
        { "", "run", 2, "run: which workload? Known: " + Workloads },
        { "", "run fautl", 2, "'fautl' is not a workload; did you mean 'fault'? Known: " + Workloads },
        { "", "run fault extra", 2, "'extra' is one argument too many for run. See: memcgnative run --help" },
        { "", "run fault --cpu 0", 2, "unknown option '--cpu' of run; did you mean '--cpus'? See: memcgnative run --help" },
        { "", "run fault --thread=2", 2, "unknown option '--thread' of run; did you mean '--threads'? See: memcgnative run --help" },
        { "", "run fault --threads", 2, "--threads: a value is missing: --threads N|N%|LADDER" },
        { "", "run fault -t 1 -t 2", 2, "--threads: is there more than once; say it once" },
        { "", "run fault --format yaml", 2, "--format: 'yaml' is not one of table, json" },
        { "", "run fault --color sometimes", 2, "--color: 'sometimes' is not one of auto, always, never" },
        { "", "list era", 2, "list: 'era' is not a list; did you mean 'eras'? Known: eras, axes, workloads, presets" },
        { "", "topology --format xml", 2, "--format: 'xml' is not one of table, json" },
        { "two-sockets", "run fault -C 0-x --dry-run", 2, "--cpus: '0-x' at column 1 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1" },
        { "two-sockets", "run fault -C 3-1 --dry-run", 2, "--cpus: '3-1' at column 1 runs backwards; write 1-3" },
        { "two-sockets", "run fault -C '' --dry-run", 2, "--cpus: the list is empty; write for example 0-3,8-15:2, all, !0 or node:1" },
        { "two-sockets", "run fault -C 0-3:0 --dry-run", 2, "--cpus: '0-3:0' at column 1 has stride 0; a stride is 1 or more" },
        { "two-sockets", "run fault -C 99 --dry-run", 3, "--cpus: CPU 99 does not exist here (online: 0-31). Topology: memcgnative topology" },
        { "two-sockets", "run fault -C node:7 --dry-run", 3, "--cpus: node 7 does not exist here (nodes: 0-1). Topology: memcgnative topology" },
        { "cpuset", "run fault -C 6 --dry-run", 3, "--cpus: CPU 6 is online but outside this process's cpuset (allowed: 0-3); a container or Slurm set that" },
        { "cpuset", "run fault -m bind:1 --dry-run", 3, "--mem bind:1: node 1 has memory but this cpuset forbids it (Mems_allowed: 0)" },
        { "offline-and-isolated", "run fault -C 5 --dry-run", 3, "--cpus: CPU 5 is offline (online: 0-4,6-7). As root: echo 1 > /sys/devices/system/cpu/cpu5/online" },
        { "memory-less-node", "run fault -m bind:2 --dry-run", 3, "--mem bind:2: node 2 has CPUs 8-15 but no memory; nearest node with memory is 1 (distance 12)" },
        { "two-sockets", "run fault -m bind:5 --dry-run", 3, "--mem bind:5: node 5 does not exist here (nodes: 0-1). Topology: memcgnative topology" },
        { "two-sockets", "run fault -m bind --dry-run", 2, "--mem bind: which nodes? Write for example bind:0 or bind:0-1" },
        { "two-sockets", "run fault -m nearby --dry-run", 2, "--mem nearby: 'nearby' is no policy; write local, bind:L, interleave:L, preferred:N, preferred-many:L, "
            + "weighted-interleave:N=W,..., remote or first-touch" },
        { "two-sockets", "run fault -m preferred:0-1 --dry-run", 2, "--mem preferred:0-1: preferred takes one node; for several write preferred-many:0-1" },
        { "two-sockets", "run fault -m weighted-interleave:0=300,1=1 --dry-run", 2, "--mem weighted-interleave:0=300,1=1: weight 300 of node 0 is outside of 1 to 255" },
        { "two-sockets", "run fault -m remote --dry-run", 2, "--mem remote: the CPUs chosen lie on nodes 0-1, and remote is relative to one; add for example --cpus node:0" },
        { "vm-one-node", "run fault -m remote --dry-run", 3, "this machine has one memory node (0): local, remote and interleave are the same; nothing to compare" },
        { "vm-one-node", "run fault -m interleave:0 --dry-run", 3, "this machine has one memory node (0): local, remote and interleave are the same; nothing to compare" },
        { "vm-one-node", "sweep -m local,remote --dry-run", 3, "this machine has one memory node (0): local, remote and interleave are the same; nothing to compare" },
        { "", "run fault -p 3M --dry-run", 2, "--pages 3M: '3M' is not a page size; write 4K, 2M, 1G, thp, nothp or a wish list such as 2M,4K" },
        { "", "run fault -p 2M,2M --dry-run", 2, "--pages 2M,2M: '2M' is there twice" },
        { "", "run fault -M 2013 --dry-run", 2, "--model: era '2013' is not known. Known: " + AllEras },
        { "", "run fault -M 3.190 --dry-run", 2, "--model: era '3.190' is not known; did you mean 3.19? Known: " + AllEras },
        { "", "run fault -M 3.19,stok=None --dry-run", 2, "--model: axis 'stok' is not known; did you mean stock? Known: " + Axes },
        { "", "run fault -M 3.19,stock=SevenSlots64 --dry-run", 2, "--model: answer of axis stock 'SevenSlots64' is not known; did you mean SevenSlot64? Known: "
            + string.Join(", ", Eras.Answers.Where(a => a.Axis == Axis.Stock).Select(a => a.Name)) },
        { "", "run fault -M 3.19 -M 3.19,stock=SingleSlot32 --dry-run", 2, "--model: 3.19 is named twice; name each design once" },
        { "", "run charge-uncharge --twin -M 3.19 -M 3.19,stock=SingleSlot64", 2, "--twin: compares one model with C; say -M once" },
        { "", "run fault -M 3.19,stock --dry-run", 2, "--model: 'stock' is not axis=answer; write for example 3.19,stock=None" },
        { "", "run fault --lock mutex --dry-run", 2, "--lock: 'mutex' is not one of tas, ticket, mcs, tas-timed, ticket-timed, mcs-timed" },
        { "", "run --preset 2009 --dry-run", 2, "--preset: '2009' is not a preset. Known: " + string.Join(", ", PresetList.All.Select(p => p.Name)) },
        { "", "run fault --preset 2009-stock --dry-run", 2, "--preset 2009-stock: the workload 'fault' is part of the experiment; leave it out" },
        { "", "run --preset 2009-stock -M 3.19 --dry-run", 2, "--preset 2009-stock: --model is part of the experiment; leave it out" },
        { "", "run fault --prefetch read --dry-run", 2, "--prefetch: 3.19 has page_cgroup=OwnerWord, which prefetches nothing; say -M rfc-2008-lockless" },
        { "", "run fault -M 2.6.27,kmem=PerCachePin --dry-run", 2, "--model: kmem=PerCachePin needs a page_cgroup that leaves the words of kernel pages alone, because kmem "
            + "keeps their owners there; BitSpinlock keeps its object in every page's word, and no kernel had both. Choose kmem=None" },
        { "", "run fault -M rfc-2008-lockless,kmem=ObjCgroup --dry-run", 2, "--model: kmem=ObjCgroup needs a page_cgroup that leaves the words of kernel pages alone, because "
            + "kmem keeps their owners there; LocklessRcu keeps its object in every page's word, and no kernel had both. Choose kmem=None" },
        { "", "run fault -M rfc-2008-lockless --prefetch early --dry-run", 2, "--prefetch: 'early' is not one of none, read, write" },
        { "", "run fault --layout 40,40 --dry-run", 2, "--layout: 40 is named twice; name each once" },
        { "", "run fault --layout 64 --dry-run", 2, "--layout: '64' is not one of 40, 112, 112Apart, 192Legacy, 256, 192" },
        { "", "run fault -M 3.19,lru.lock=mcs --lock tas --dry-run", 2, "--lock: the model already says lru.lock; say it once" },
        { "", "run fault -d 5x --dry-run", 2, "--duration: '5x' is not a duration; write for example 250ms, 5s or 2m (a bare number is seconds)" },
        { "", "run fault -d 0 --dry-run", 2, "--duration: '0' is no time at all; write for example 250ms" },
        { "", "run fault -d 1ms --dry-run", 2, "--duration: 1 ms is less than one batch of 2 ms" },
        { "", "run fault -w soon --dry-run", 2, "--warmup: 'soon' is not a duration; write for example 250ms, 5s or 2m (a bare number is seconds)" },
        { "", "run fault -r 0 --dry-run", 2, "--reps: 0 is outside of 1 to 1000" },
        { "", "run fault -r many --dry-run", 2, "--reps: 'many' is not a number" },
        { "", "run fault --seed 0xzz --dry-run", 2, "--seed: '0xzz' is not a 64-bit number; write for example 7 or 0x5eed1a2b" },
        { "two-sockets", "run fault -t 0 --dry-run", 2, "--threads: '0' is no thread; write for example 4, 50%, 1..64:x2 or 1,2,4" },
        { "two-sockets", "run fault -t 33 --dry-run", 2, "--threads: 33 threads, but 32 CPUs are chosen; a thread is a CPU here, so give --cpus more or ask for fewer" },
        { "two-sockets", "run fault -t 150% --dry-run", 2, "--threads: '150%': at most 100% of the CPUs can be used" },
        { "two-sockets", "run fault -t 1..8:x1 --dry-run", 2, "--threads: '1..8:x1': the step 'x1' is neither xN (N from 2) nor +N (N from 1)" },
        { "two-sockets", "run fault -t 8..1 --dry-run", 2, "--threads: '8..1' ends before it begins" },
        { "two-sockets", "run fault -t four --dry-run", 2, "--threads: 'four' is not a number of threads; write for example 4, 50%, 1..64:x2 or 1,2,4" },
        { "", "run fault --limit 64MB --dry-run", 2, "--limit: '64MB' is ambiguous: MB means 1000 or 1024; write 64M for powers of 1024" },
        { "", "run fault --limit 100 --dry-run", 2, "--limit: 100 bytes are less than a page" },
        { "", "run fault --footprint much --dry-run", 2, "--footprint: 'much' is not a size; write for example 64M, 2G or 1048576" },
        { "vm-one-node", "run fault --footprint 8T --dry-run", 3, "--footprint: 8 TiB are asked of node 0, which has 23.5 GiB; ask for less or for more nodes" },
        { "", "run fault --footprint 16M --fake-nodes 8 --dry-run", 2, "--fake-nodes: 8 parts of 16M would be under 4M each; give --footprint 32M or fewer parts" },
        { "vm-one-node", "sweep --footprint 9G -M 3.19 -M 3.19,stock=None -M 3.19,stock=SingleSlot64 --dry-run", 3,
            "--footprint: 27 GiB are asked of node 0, which has 23.5 GiB (3 placements and models at a time); ask for less or for more nodes" },
        { "pack:2 numa:1(memory=1G) core:2", "run fault --footprint 8T -m interleave:0-1 --dry-run", 3,
            "--footprint: 8 TiB are asked of nodes 0-1, which have 2 GiB; ask for less or for more nodes" },
        { "", "run fault --footprint 9223372036854775807 --dry-run", 2, "--footprint: '9223372036854775807' is more than the 128T a process can address" },
        { "", "placement --footprint 9223372036854775807", 2, "--footprint: '9223372036854775807' is more than the 128T a process can address" },
        { "", "run fault -d 24h -r 1000 --dry-run", 2, "--duration: 1440 min 0 s x 1000 repetitions x 1 point(s) are 43200000000 batches, at most 50000000 are kept; ask for a "
            + "shorter duration or fewer repetitions" },
        { "two-sockets", "run fault --fake-nodes 64 -m local --footprint 8G --dry-run", 2, "--fake-nodes: 64 parts of each of 2 nodes are 128 nodes, at most 64 can be "
            + "kept; ask for 32 parts or fewer" },
        { "", "run fault -m first-touch --dry-run", 2, "--mem first-touch: every frame is touched before a run begins, by one thread; only `placement` knows it. Write local" },
        { "", "run fault --fake-nodes 0 --dry-run", 2, "--fake-nodes: 0 is outside of 1 to 64" },
        { "", "run fault --depth 65 --dry-run", 2, "--depth: 65 is outside of 1 to 64" },
        { "", "run fault --groups 0 --dry-run", 2, "--groups: 0 is outside of 1 to 60000" },
        { "", "run fault --groups 2 --private --dry-run", 2, "--groups and --private exclude each other: both say how many groups there are" },
        { "", "run fault --shared --private --dry-run", 2, "--shared and --private exclude each other" },
        { "", "run fault --rcu tree --dry-run", 2, "--rcu: 'tree' is not one of qsbr, membarrier" },
        { "two-sockets", "run fault --place memmap=local --dry-run", 2,
            "--place: 'memmap' cannot be placed; did you mean 'mem_map'? Known: mem_map, memcg, memcg_node, percpu, page_cgroup, zones, slab, mm" },
        { "two-sockets", "run fault --place mem_map --dry-run", 2, "--place: 'mem_map' is not NAME=WHERE; write for example mem_map=local,memcg=node0,percpu=interleave" },
        { "two-sockets", "run fault --place mem_map=far --dry-run", 2, "--place: 'far' is not a place; write local, interleave or nodeN, for example node0" },
        { "two-sockets", "run fault --place mem_map=node9 --dry-run", 3, "--place: node 9 does not exist here (nodes: 0-1). Topology: memcgnative topology" },
        { "two-sockets", "run fault --place mem_map=local,mem_map=node1 --dry-run", 2, "--place: 'mem_map' is there twice" },
        { "vm-one-node", "run fault --place percpu=interleave --dry-run", 3,
            "this machine has one memory node (0): local, remote and interleave are the same; nothing to compare" },
        { "", "run fault --twin", 2, "--twin: fault has no C twin; these have: charge-uncharge, alloc-free" },
        { "", "run charge-uncharge --twin -M 3.19,stock=None", 2, "--twin: the C twin of charge-uncharge imitates PageCounter40 with SingleSlot32 or SingleSlot64; the "
            + "model has PageCounter40 and None" },
        { "", "run charge-uncharge --twin --limit 1M", 2, "--twin: the C twins know no limit; leave --limit out" },
        { "", "run fault --topology pack:2", 2, "--topology: a made-up machine cannot be measured; add --dry-run" },
        { "", "run fault --topology 'pack:2 core' --dry-run", 2, "--topology: 'core' at column 8 is not a level and a count; write for example pack:2 numa:2 l3:1 core:4 pu:2" },
        { "two-sockets", "run fault", 2, "recorded: two-sockets: this is not the machine we run on and cannot be measured; add --dry-run" },
        { "", "run fault -o /no/such/place/r", 3, "--out: the directory '/no/such/place' does not exist; make it with: mkdir -p /no/such/place" },
        { "", "run fault -o /tmp", 2, "--out: '/tmp' is a directory; give a file name" },
        { "", "run fault -o ''", 2, "--out: '' is not a file name" },
    };

    [Theory, MemberData(nameof(Table))]
    public void A_wrong_command_line_gets_one_line_and_its_exit_code(string machine, string line, int code, string message)
    {
        CliBox.Answer answer = CliBox.Run(machine, CliBox.Split(line));
        Assert.Equal("memcgnative: " + message + Environment.NewLine, answer.Error);
        Assert.Equal(code, answer.Code);
        Assert.Empty(answer.Out);
    }
}
