// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// fprobe events on the kernel's charge path, with arguments read through its type information (BTF). They are defined in the one place all
/// instances share, under a name with this process's number, switched on in our instance alone, and taken away at the end; what a killed
/// process left is taken away by the next one.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class ChargeProbes : IDisposable
{
    private const string Prefix = "memcgnative_";
    private const string OfGroup = "ino=memcg->css.cgroup->kn->id:u64 usage=memcg->memory.usage.counter:s64 at=memcg:u64 up=memcg->css.parent->cgroup->kn->id:u64";
    private const string OfCounter = "nr=nr_pages:u64 usage=counter->usage.counter:s64 at=counter:u64";
    private const string OfCss = "ino=css->cgroup->kn->id:u64 at=css:u64";
    private static readonly Version first = new(6, 5), sevenSlots = new(6, 16);
    private readonly string definitions, system;

    /// <summary>
    /// Name, function, what is fetched, and its fields. ino is the directory of the group, usage a counter at that moment. Entries only: a return
    /// probe is dropped when the kernel's pool of them is empty, an entry never. What lies within what follows from the arguments (ChargeBuilder).
    /// </summary>
    public static readonly (string Name, string Where, string Fetch, string[] Fields)[] Wanted =
    [
        ("try", "try_charge_memcg", "nr=nr_pages:u32 " + OfGroup, ["nr", "ino", "usage", "at", "up"]),
        ("refill", "__refill_stock", "nr=nr_pages:u32 " + OfGroup, ["nr", "ino", "usage", "at", "up"]),
        ("local", "drain_local_stock", "", []),
        ("drain", "drain_stock", "cached=stock->cached:x64 nr=stock->nr_pages:u32", ["cached", "nr"]),
        ("charge", "page_counter_try_charge", OfCounter, ["nr", "usage", "at"]),
        ("force", "page_counter_charge", OfCounter, ["nr", "usage", "at"]),
        ("uncharge", "page_counter_uncharge", OfCounter, ["nr", "usage", "at"]),
        ("offline", "mem_cgroup_css_offline", OfCss, ["ino", "at"]),
        ("free", "mem_cgroup_css_free", OfCss, ["ino", "at"]),
    ];

    /// <exception cref="UsageException">This kernel lets no fprobe events be made: exit 3.</exception>
    public ChargeProbes(string tracing)
    {
        definitions = tracing + "/dynamic_events";
        system = Prefix + Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        if (!File.Exists(definitions))
            throw new UsageException($"record --charges: {definitions} is not there; the kernel needs CONFIG_FPROBE_EVENTS (6.5) and BTF", ofThisMachine: true);
        Version kernel = StockSize.ReleaseOf(SystemFacts.KernelRelease);
        if (kernel < first || kernel >= sevenSlots)
            throw new UsageException($"record --charges: knows the charge path of Linux 6.5 to 6.15, this is {kernel}; ./build.sh guest -k 6.12 has one", ofThisMachine: true);
        RemoveStale();
        try
        {
            foreach ((string name, string where, string fetch, string[] _) in Wanted) Append($"f:{system}/{name} {where} {fetch}".TrimEnd());
        }
        catch (IOException e)
        {
            Dispose();
            throw new UsageException($"record --charges: this kernel refuses an fprobe event ({e.Message.TrimEnd('.')}); it is locked down, or has no such function",
                ofThisMachine: true);
        }
    }

    /// <summary>What to switch on in the instance.</summary>
    public IReadOnlyList<WantedEvent> Events => [.. Wanted.Select(w => new WantedEvent(Event(w.Name), w.Fields))];

    /// <summary>Its event as SYSTEM/NAME.</summary>
    public string Event(string name) => $"{system}/{name}";

    /// <inheritdoc/>
    public void Dispose() => Remove(system);

    private void RemoveStale()
    {
        foreach (string other in File.ReadLines(definitions).Where(l => l.StartsWith("f:" + Prefix, StringComparison.Ordinal))
            .Select(l => l[2..].Split('/')[0]).Distinct().ToArray())
            if (int.TryParse(other.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) && !Directory.Exists($"/proc/{pid}")) Remove(other);
    }

    private void Remove(string of)
    {
        foreach ((string name, string _, string _, string[] _) in Wanted)
        {
            try
            {
                Append($"-:{of}/{name}");
            }
            catch (IOException)
            {
                // was never made
            }
        }
    }

    private void Append(string line)
    {
        using var file = new FileStream(definitions, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        file.Write(System.Text.Encoding.ASCII.GetBytes(line + "\n"));
    }
}
