// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>What happened; the numbers are those of the file format.</summary>
internal enum TraceKind : byte
{
    /// <summary>A group is there from now on: Group, Object = its parent (0: none recorded).</summary>
    Group = 1,
    /// <summary>Its directory is removed.</summary>
    Remove = 2,
    /// <summary>A block of anonymous memory is charged: Group, Amount = pages. It has the next object number, as the three below.</summary>
    Anon = 3,
    /// <summary>Page cache.</summary>
    File = 4,
    /// <summary>Kernel pages (__GFP_ACCOUNT).</summary>
    Kernel = 5,
    /// <summary>A slab object: Amount = bytes.</summary>
    Slab = 6,
    /// <summary>Pages Second to Second + Amount - 1 of Object are free again; a slab object goes whole.</summary>
    Free = 7,
    /// <summary>What the kernel's counters said: Group, Values.</summary>
    Checkpoint = 8,
    /// <summary>Amount events were lost on this CPU before this one.</summary>
    Lost = 9,
    /// <summary>try_charge_memcg: Group, Amount = pages, Second = the counter before it plus 1, or 0 (full fidelity; the three below likewise).</summary>
    TryCharge = 10,
    /// <summary>refill_stock: Group, Amount = pages.</summary>
    Refill = 11,
    /// <summary>Uncharged at the counter, past the stock: Group, Amount = pages.</summary>
    Uncharge = 12,
    /// <summary>drain_stock outside of a refill: this CPU gives back what its stock holds.</summary>
    Drain = 13,
    /// <summary>page_counter_try_charge within a call: Group, Amount = pages, Second as above, Object = the call's number on this CPU, from 0.</summary>
    CounterCharge = 14,
    /// <summary>page_counter_uncharge within a call: likewise.</summary>
    CounterUncharge = 15,
    /// <summary>mem_cgroup_css_offline: Group.</summary>
    Offline = 16,
    /// <summary>mem_cgroup_css_free: Group; nothing refers to it any more.</summary>
    Released = 17,
    /// <summary>This CPU's stock held Amount pages of Group when the recording began.</summary>
    Held = 18,
}

/// <summary>The kernel's counters of a group at a checkpoint, in pages; -1: not shown there.</summary>
/// <param name="Usage">memory.usage_in_bytes, memory.current.</param>
/// <param name="Peak">Its highest value.</param>
/// <param name="Kmem">Kernel memory.</param>
/// <param name="Anon">Anonymous pages of the group alone.</param>
/// <param name="File">Page cache of the group alone.</param>
internal readonly record struct CounterValues(long Usage, long Peak, long Kmem, long Anon, long File);

/// <summary>One event; which fields mean something depends on <see cref="TraceKind"/>.</summary>
internal readonly record struct TraceEvent(TraceKind Kind, int Cpu, long TimeNs, long Group = 0, long Object = 0, long Amount = 0, long Second = 0, CounterValues Values = default)
{
    /// <summary>True when the event makes an object that a later one frees.</summary>
    public bool Makes => Kind is TraceKind.Anon or TraceKind.File or TraceKind.Kernel or TraceKind.Slab;

    /// <summary>True when it is a call of the charge path from outside.</summary>
    public bool Calls => Kind is TraceKind.TryCharge or TraceKind.Refill or TraceKind.Uncharge or TraceKind.Drain;

    /// <summary>True when it is a call of the counter within one.</summary>
    public bool Counts => Kind is TraceKind.CounterCharge or TraceKind.CounterUncharge;
}

/// <summary>A recording: where it comes from, and its events in order of time.</summary>
internal sealed record TraceFile(TraceHeader Header, IReadOnlyList<TraceEvent> Events);

/// <summary>Where a recording comes from.</summary>
internal sealed record TraceHeader
{
    /// <summary>Release of the kernel that was recorded.</summary>
    public required string Kernel { get; init; }

    /// <summary>"v1" or "v2".</summary>
    public required string Cgroup { get; init; }

    /// <summary>The command, or what made the events.</summary>
    public required string Command { get; init; }

    /// <summary>"tracepoints" or "fprobe".</summary>
    public required string Source { get; init; }

    /// <summary>When, ISO 8601.</summary>
    public required string Recorded { get; init; }

    /// <summary>CPUs that the recorded machine had; event CPUs are below it.</summary>
    public required int Cpus { get; init; }

    /// <summary>Events of the recorded groups that had an owner.</summary>
    public long Attributed { get; init; }

    /// <summary>Events that should have had one and had none.</summary>
    public long Unattributed { get; init; }

    /// <summary>Folios of users that the kernel itself counted as charged (PGPGIN of its memcg events); null: it has no such event.</summary>
    public long? Charged { get; init; }

    /// <summary>Share of events without an owner, 0 to 1.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public double Ownerless => Attributed + Unattributed <= 0 ? 0 : (double)Unattributed / (Attributed + Unattributed);

    /// <summary>Events the kernel dropped because a buffer was full.</summary>
    public long Lost { get; init; }

    /// <summary>Made up, not recorded.</summary>
    public bool Synthetic { get; init; }
}

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy = System.Text.Json.Serialization.JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Skip)]
[System.Text.Json.Serialization.JsonSerializable(typeof(TraceHeader))]
internal sealed partial class TraceJson : System.Text.Json.Serialization.JsonSerializerContext;
