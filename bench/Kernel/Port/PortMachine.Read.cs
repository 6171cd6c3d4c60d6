// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What the port shows, and how far that may be from the pages behind it.</summary>
internal sealed unsafe partial class PortMachine<TC>
{
    /// <inheritdoc/>
    public Reading Read(string group, string key)
    {
        if (key == "dying") return Reading.Exact(AtomicLong.Load(&core.Accounting.Tree->Dying));
        Memcg* memcg = Group(group);
        return key switch
        {
            "usage" => Counted(group, TC.Usage(memcg, CounterKind.Memory), kmem: true),
            "peak" => Counted(group, TC.Peak(memcg, CounterKind.Memory), kmem: true),
            "kmem" => Counted(group, TC.Usage(memcg, CounterKind.Kmem), kmem: true),
            "limit" => Reading.Exact(TC.Limit(memcg, CounterKind.Memory)),
            "failcnt" => Reading.Exact(TC.FailCount(memcg, CounterKind.Memory) - failcntBase.GetValueOrDefault(group)),
            "oom_kill" => Reading.Exact(killed.GetValueOrDefault(group)),
            "anon" => Counted(null, MemcgStat.Read(memcg, MemcgStatItem.Rss), kmem: false),
            "file" => Counted(null, MemcgStat.Read(memcg, MemcgStatItem.Cache), kmem: false),
            "pgpgin" => Reading.Exact(MemcgStat.Read(memcg, MemcgStatItem.PgpgIn)),
            "pgpgout" => Reading.Exact(MemcgStat.Read(memcg, MemcgStatItem.PgpgOut)),
            _ when key.StartsWith("numa.", StringComparison.Ordinal) => OnNode(memcg, key),
            _ => Reading.None($"the port does not count {key}"),
        };
    }

    /// <summary>Pages counted but behind nothing: stocks of the groups below, pages in another CPU's vector, the byte stock and slabs that are not full.</summary>
    private Reading Counted(string? subtree, long value, bool kmem)
    {
        var why = new List<string>();
        long above = 0;
        if (subtree is not null)
        {
            int paying = payers.Count(p => p == subtree || p.StartsWith(subtree + "/", StringComparison.Ordinal));
            above += stock.Slack(core.Cpus.Count, paying);
            if (stock.Words(core.Cpus.Count, paying) is { Length: > 0 } words) why.Add(words);
        }
        if (freedSomething && core.Cpus.Count > 1)
        {
            above += (long)stock.Vector * (core.Cpus.Count - 1);
            why.Add($"page vectors {stock.Vector} x {core.Cpus.Count - 1}");
        }
        if (kmem && core.Slab is not null)
        {
            above += 2L * core.Cpus.Count + 1;
            why.Add($"byte stock and part-filled slabs {2 * core.Cpus.Count + 1}");
        }
        return new Reading(value, 0, above, why.Count == 0 ? "exact" : string.Join(", ", why));
    }

    private Reading OnNode(Memcg* memcg, string key)
    {
        string[] parts = key.Split('.');
        int node = int.Parse(parts[1], CultureInfo.InvariantCulture);
        if (node >= core.Memory.Plan.Nodes.Count) return Reading.None($"the scenario's port has {core.Memory.Plan.Nodes.Count} node(s)");
        (LruList inactive, LruList active) = parts[2] == "anon" ? (LruList.InactiveAnon, LruList.ActiveAnon) : (LruList.InactiveFile, LruList.ActiveFile);
        long pages = TC.LruCount(memcg, node, inactive) + TC.LruCount(memcg, node, active);
        return new Reading(pages, (long)stock.Vector * core.Cpus.Count, 0, $"page vectors {stock.Vector} x {core.Cpus.Count}");
    }
}

/// <summary>The port in one era, for any scenario.</summary>
internal sealed class PortBackend(Model model) : IScriptBackend
{
    /// <summary>So much of this machine a scenario may take for itself.</summary>
    private const long MostPages = 1L << 20;

    /// <inheritdoc/>
    public string Name => $"port {model}";

    /// <inheritdoc/>
    public string? WhyNot(Script script)
    {
        bool kmem = script.Steps.Any(s => s.Verb is Verb.Pipes or Verb.Dentries) || script.Needs.Any(n => n.What == "kmem");
        if (kmem && model[Axis.Kmem] == NoKmem.Name) return $"era {model.Era} does not count kernel memory";
        if (script.PeakPages > MostPages) return $"it holds {script.PeakPages} pages at once; the port takes up to {MostPages}";
        foreach ((string what, long amount) in script.Needs)
        {
            switch (what)
            {
                case "protection" or "high":
                    return $"memory.{(what == "high" ? "high" : "min and memory.low")} is not built in the port";
                case "swap":
                    return "swap through scenarios is not built";
                case "cpus" when amount > 1024:
                    return $"{amount} CPUs";
                case "nodes" when amount > MemcgTree.MaxNodes:
                    return $"the port has at most {MemcgTree.MaxNodes} nodes";
            }
        }
        return null;
    }

    /// <inheritdoc/>
    public string? Differs(Script script) =>
        script.Differs.FirstOrDefault(d => Enum.GetValues<Axis>().Any(axis => d.Answer == $"{Eras.NameOf(axis)}={model[axis]}")) is { Answer: { } answer } found
            ? $"{answer}: {found.Reason}" : null;

    /// <inheritdoc/>
    public IScriptMachine Open(Script script) => Matrix.Bind(model, new Maker(script, model));

    private sealed class Maker(Script script, Model model) : IControllerUser<IScriptMachine>
    {
        /// <inheritdoc/>
        public IScriptMachine Use<TC>() where TC : struct, IMemoryController => new PortMachine<TC>(script, model);
    }
}
