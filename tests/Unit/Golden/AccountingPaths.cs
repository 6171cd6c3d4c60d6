// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>What one page costs the accounting core of 3.19 in instructions, and how many of them lock.</summary>
internal static unsafe class AccountingPaths
{
    /// <summary>try_charge from the stock.</summary>
    [HotPath]
    public static bool TryChargeStocked(in ThisCpu cpu, Memcg* memcg, ref Refusal refused) => Stock32.TryCharge(cpu, memcg, 1, ref refused);

    /// <summary>try_charge from one of seven slots.</summary>
    [HotPath]
    public static bool TryChargeSevenSlots(in ThisCpu cpu, Memcg* memcg, ref Refusal refused) => SevenSlots.TryCharge(cpu, memcg, 1, ref refused);

    /// <summary>try_charge of the bare counter: one locked add per level.</summary>
    [HotPath]
    public static bool TryChargeCounter(in ThisCpu cpu, Memcg* memcg, ref Refusal refused) => NoStock.TryCharge(cpu, memcg, 1, ref refused);

    /// <summary>commit_charge with its statistics.</summary>
    [HotPath]
    public static bool Commit(in ThisCpu cpu, Page* page, Memcg* memcg) => Stock32.Commit(cpu, page, memcg, anon: true);

    /// <summary>The owner of a page, as list designs ask for it.</summary>
    [HotPath]
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page) => Stock32.OwnerOf(cpu, page, out _);

    /// <summary>The group an address space is charged to, with a reference.</summary>
    [HotPath]
    public static Memcg* MemcgOf(in ThisCpu cpu, MmStruct* mm) => Charging.MemcgOf(cpu, mm);
}
