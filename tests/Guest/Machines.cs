// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Guest;

/// <summary>The machines that are booted, each once per kernel, and what is asked of them.</summary>
public static class Machines
{
    /// <summary>cgroup v1 and v2, no weighted interleave; v2 and weighted interleave.</summary>
    public static readonly string[] Kernels = ["6.1", "6.12"];

    private const string Weights = "/sys/kernel/mm/mempolicy/weighted_interleave";

    /// <summary>Four nodes of two CPUs: 0 and 1 are near (16), 2 and 3 are near, the pairs are far (32). Its placements are proved in every test run.</summary>
    private static readonly string pairsJob = $$"""
        if [ -d {{Weights}} ]; then echo 3 >{{Weights}}/node0; fi
        echo 8 >/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages
        mkdir $CGROUP/box
        echo 0-7 >$CGROUP/box/cpuset.cpus
        {{(Boot.Asked ? Disturb : "")}}
        cat >/tmp/jobs <<'JOBS'
        topology topology --format json
        {{Four("local", "-m local -C node:#")}}
        {{Four("bind", "-m bind:#")}}
        {{Four("preferred", "-m preferred:#")}}
        {{Four("remote", "-m remote -C node:#")}}
        {{Four("thp", "-m bind:# -p thp")}}
        bind13 placement -m bind:1,3 --footprint 16M --format json
        interleave placement -m interleave:0-3 --footprint 16M --format json
        interleave13 placement -m interleave:1,3 --footprint 16M --format json
        many02 placement -m preferred-many:0,2 --footprint 16M --format json
        weighted placement -m weighted-interleave --footprint 24M --format json
        weighted31 placement -m weighted-interleave:0=3,1=1 --footprint 16M --format json
        weighted12 placement -m weighted-interleave:1=1,2=3 --footprint 16M --format json
        user placement -m weighted-interleave:user:0=3,2=1 --footprint 16M --format json
        thpall placement -m interleave:0-3 -p thp --footprint 16M --format json
        thpodd placement -m interleave:0-3 -p thp --footprint 12M --format json
        huge2 placement -m bind:2 -p 2M --footprint 16M --format json
        huge1 placement -m bind:1 -p 2M --footprint 16M --format json
        full placement -m bind:1 --footprint 400M --format json
        absent placement -m bind:4 --footprint 16M --format json
        touch first-touch
        {{(Boot.Asked ? More : "")}}
        JOBS
        sh -c 'echo $$ >$CGROUP/box/cgroup.procs; exec inside /out' </tmp/jobs
        """;

    /// <summary>CPUs go once a job has measured for a while.</summary>
    private const string Disturb = """
        after() { # job, file, value
          until grep -qs '^.1/' /out/$1.err; do sleep 0.1; done
          sleep 0.2
          echo $3 >$2
        }
        after unplug /sys/devices/system/cpu/cpu7/online 0 &
        after shrink $CGROUP/box/cpuset.cpus 0-4 &
        """;

    /// <summary>What takes an emulator minutes.</summary>
    private const string More = """
        spill placement -m preferred:3 --footprint 330M --format json
        fallback fallback
        place run fault -C 0,6 -d 5ms -r 1 -w 5ms --format json -m interleave:0-3 --place mem_map=node1,percpu=node2,memcg=node3,memcg_node=interleave,zones=node0
        beside run charge-uncharge -C 1,7 -d 5ms -r 1 -w 5ms --format json
        sweep sweep fault -C node:0 -t 1,2 -m local,interleave:0-3,remote -d 5ms -r 1 -w 5ms --format json
        unplug sweep fault -C 6,7 -t 2 -m local -d 300ms -r 100 --machines 100 -w 5ms --format json
        gone run fault -C 7 -d 5ms -r 1
        shrink sweep fault -C 4,5 -t 2 -m local -d 300ms -r 100 --machines 100 -w 5ms --format json
        outside run fault -C 5 -d 5ms -r 1
        mems write /sys/fs/cgroup/box/cpuset.mems 0,2
        forbidden placement -m bind:1 --footprint 16M --format json
        allowed placement -m interleave:all --footprint 16M --format json
        """;

    /// <summary>A placement on, or for, each of the four nodes.</summary>
    private static string Four(string name, string options) =>
        string.Join('\n', Enumerable.Range(0, 4).Select(n => $"{name}{n} placement {options.Replace('#', (char)('0' + n))} --footprint 16M --format json"));

    /// <summary>Eight nodes of one CPU each.</summary>
    private const string EightJob = """
        inside /out <<'JOBS'
        topology topology --format json
        interleave placement -m interleave:all --footprint 16M --format json
        bind7 placement -m bind:7 --footprint 16M --format json
        remote5 placement -m remote -C 5 --footprint 16M --format json
        touch first-touch
        fallback fallback
        JOBS
        """;

    /// <summary>Node 1 has a CPU and no memory, there is no node 2, node 4 has memory and no CPU.</summary>
    private const string OddJob = """
        inside /out <<'JOBS'
        tree topology
        topology topology --format json
        bind1 placement -m bind:1 --footprint 16M --format json
        bind2 placement -m bind:2 --footprint 16M --format json
        bind4 placement -m bind:4 --footprint 16M --format json
        local1 placement -m local -C node:1 --footprint 16M --format json
        remote0 placement -m remote -C 0 --footprint 16M --format json
        interleave placement -m interleave:all --footprint 12M --format json
        touch first-touch
        fallback fallback
        run run fault -C 0,1 -d 5ms -r 1 -w 5ms --format json
        JOBS
        """;

    private static readonly Dictionary<string, Boot> pairs = Each("-n 4 -c 2 -m 320 -d 16,32", pairsJob, always: true);
    private static readonly Dictionary<string, Boot> eight = Each("-n 8 -c 1 -m 192 -d 12,24", EightJob);
    private static readonly Dictionary<string, Boot> odd = Each("-n 1x384,1x0,-,1x384,0x384 -d 0-1=14,1-3=21,1-4=42,0-3=20,0-4=40,3-4=30", OddJob);

    public static Boot Pairs(string kernel) => pairs[kernel];

    public static Boot Eight(string kernel) => eight[kernel];

    public static Boot Odd(string kernel) => odd[kernel];

    /// <summary>What takes time in an emulator is the JIT: it need not be thorough where only places are looked at.</summary>
    private static Dictionary<string, Boot> Each(string machine, string job, bool always = false) =>
        Kernels.ToDictionary(k => k, k => new Boot($"-s -k {k} {machine} -a DOTNET_JITMinOpts=1", job, always || Boot.Asked));
}
