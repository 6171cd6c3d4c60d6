// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Allocator;

/// <summary>Free pages a zone keeps back, in pages. Linux: __setup_per_zone_wmarks and calculate_min_free_kbytes, mm/page_alloc.c.</summary>
public readonly record struct Watermarks(long MinPages, long LowPages, long HighPages)
{
    /// <summary>No reserve: every page can be handed out.</summary>
    public static Watermarks None => default;

    /// <summary>low and high stand a quarter and a half above min.</summary>
    public static Watermarks FromMin(long minPages) => new(minPages, minPages + minPages / 4, minPages + minPages / 2);

    /// <summary>Linux's default: 4 * sqrt(KiB of memory) KiB within 128 KiB to 256 MiB, shared out by size, at most a quarter of the zone.</summary>
    public static Watermarks ForZone(long zonePages, long allPages)
    {
        long kib = Math.Clamp((long)Math.Sqrt(allPages * 4.0 * 16.0), 128, 262144);
        return FromMin(Math.Min(zonePages / 4, kib / 4 * zonePages / allPages));
    }
}
