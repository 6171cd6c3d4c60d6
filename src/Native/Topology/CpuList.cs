// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;

namespace MemcgNative.Native;

/// <summary>
/// Lists of CPUs as numactl and taskset write them, with selectors: <c>0-3,8-15:2</c>, <c>all</c>, <c>!0</c>, <c>+0-3</c>, <c>node:1</c>,
/// <c>core:0,2,4</c>, <c>smt:0</c>. "all", "!" and selectors mean CPUs this process may run on; a number must be one of those, or an
/// isolated CPU, which is there to be asked for by number. A selector's list reaches to the next selector, so plain numbers come first.
/// </summary>
public static class CpuList
{
    private const string Hint = "Topology: memcgnative topology";
    private const string Numbers = "0-3,8-15:2, all, !0 or node:1";

    /// <summary>The CPUs a list names, ascending, each once, at least one.</summary>
    /// <exception cref="UsageException">One line: what, at which column, why, and what to write instead.</exception>
    public static ImmutableArray<CpuId> Parse(string text, Topology topology)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(topology);
        var cpus = new ListDomain
        {
            Name = "CPU",
            Example = Numbers,
            Usable = [.. topology.AllowedCpus.Select(c => c.Value)],
            Refuse = (n, leftOut) => Refuse(topology, new CpuId(n), leftOut),
            Expand = n => [n],
        };
        return [.. new ListParser(text, cpus, name => Selector(topology, name)).Parse().Select(n => new CpuId(n))];
    }

    /// <summary>The short form: ranges, and strides where shorter. Reading it back gives the same CPUs. "none" for no CPU.</summary>
    public static string Format(IEnumerable<CpuId> cpus) => ListText.Format(cpus.Select(c => c.Value));

    internal static string Format(IEnumerable<int> numbers) => ListText.Format(numbers);

    private static string? Refuse(Topology t, CpuId id, bool leftOut)
    {
        if (t.FindCpu(id) is { } cpu)
            return leftOut || cpu.IsAllowed || cpu.IsIsolated ? null
                : $"CPU {id} is online but outside this process's cpuset (allowed: {Format(t.AllowedCpus)}); a container or Slurm set that";
        var online = Format(t.Cpus.Select(c => c.Id));
        return t.OfflineCpus.Contains(id)
            ? leftOut ? null : $"CPU {id} is offline (online: {online}). As root: echo 1 > /sys/devices/system/cpu/cpu{id}/online"
            : $"CPU {id} does not exist here (online: {online}). {Hint}";
    }

    /// <summary>The CPUs of one domain number, by selector word; null for a word that is none.</summary>
    internal static ILookup<int, CpuInfo>? Domains(Topology t, string selector) => selector switch
    {
        "node" => t.Cpus.ToLookup(c => c.Node.Value),
        "socket" => t.Cpus.ToLookup(c => c.Package),
        "l3" => t.Cpus.Where(c => c.L3 >= 0).ToLookup(c => c.L3),
        "core" => t.Cpus.ToLookup(c => c.Core),
        "smt" => t.Cpus.ToLookup(c => c.Smt),
        _ => null,
    };

    internal static string NameOf(string selector) => selector switch { "l3" => "L3 domain", "smt" => "SMT thread", _ => selector };

    internal static string? RefuseDomain(Topology t, string selector, ILookup<int, CpuInfo> domains, int n)
    {
        if (domains.Contains(n))
            return null;
        if (selector == "node" && t.FindNode(new NodeId(n)) is not null)
            return $"node {n} has no CPU; nodes with CPUs: {ListText.Format(domains.Select(d => d.Key))}. {Hint}";
        if (domains.Count == 0)
            return $"this machine reports no {NameOf(selector)}s; choose by node:, socket: or core:. {Hint}";
        return $"{NameOf(selector)} {n} does not exist here ({NameOf(selector)}s: {ListText.Format(domains.Select(d => d.Key))}). {Hint}";
    }

    private static ListDomain? Selector(Topology t, string word)
    {
        if (Domains(t, word) is not { } domains)
            return null;
        return new ListDomain
        {
            Name = NameOf(word),
            Example = $"{word}:0-1, {word}:all or {word}:!0",
            Usable = [.. domains.Where(d => d.Any(c => c.IsAllowed)).Select(d => d.Key).Order()],
            Refuse = (n, leftOut) => RefuseDomain(t, word, domains, n)
                ?? (leftOut || domains[n].Any(c => c.IsAllowed) ? null
                    : $"{NameOf(word)} {n} has no CPU inside this process's cpuset (allowed: {Format(t.AllowedCpus)}); a container or Slurm set that"),
            Expand = n => domains[n].Where(c => c.IsAllowed).Select(c => c.Id.Value),
        };
    }
}
