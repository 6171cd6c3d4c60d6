// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;

namespace MemcgNative.Tests.Unit;

/// <summary>Records of GetLogicalProcessorInformationEx, built by hand as winnt.h lays them out on 64-bit Windows.</summary>
internal static class WindowsRecords
{
    public const int CoreRelation = 0, NodeRelation = 1, CacheRelation = 2, PackageRelation = 3, GroupRelation = 4, DieRelation = 5, NodeExRelation = 6;

    public static byte[] Record(int relation, int size, Action<byte[]> fill)
    {
        var r = new byte[size];
        BinaryPrimitives.WriteInt32LittleEndian(r, relation);
        BinaryPrimitives.WriteInt32LittleEndian(r.AsSpan(4), size);
        fill(r);
        return r;
    }

    public static void Word(byte[] r, int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(r.AsSpan(at), (ushort)value);

    private static void Affinities(byte[] r, int at, (int Group, ulong Mask)[] masks)
    {
        for (var i = 0; i < masks.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(r.AsSpan(at + 16 * i), masks[i].Mask);
            Word(r, at + 16 * i + 8, masks[i].Group);
        }
    }

    /// <summary>PROCESSOR_RELATIONSHIP: GroupCount at 22, masks at 24 of the union, which begins at 8.</summary>
    public static byte[] Processor(int relation, params (int Group, ulong Mask)[] masks) =>
        Record(relation, 32 + 16 * masks.Length, r => { Word(r, 30, masks.Length); Affinities(r, 32, masks); });

    public static byte[] Node(int relation, int number, int groupCount, params (int Group, ulong Mask)[] masks) =>
        Record(relation, 32 + 16 * masks.Length, r => { BinaryPrimitives.WriteInt32LittleEndian(r.AsSpan(8), number); Word(r, 30, groupCount); Affinities(r, 32, masks); });

    /// <summary>CACHE_RELATIONSHIP: Level at 0, CacheSize at 4, Type at 8, GroupCount at 30, masks at 32.</summary>
    public static byte[] Cache(int level, int type, uint bytes, params (int Group, ulong Mask)[] masks) => Record(CacheRelation, 40 + 16 * masks.Length, r =>
    {
        r[8] = (byte)level;
        BinaryPrimitives.WriteUInt32LittleEndian(r.AsSpan(12), bytes);
        BinaryPrimitives.WriteInt32LittleEndian(r.AsSpan(16), type);
        Word(r, 38, masks.Length);
        Affinities(r, 40, masks);
    });

    /// <summary>GROUP_RELATIONSHIP: counts at 0 and 2, PROCESSOR_GROUP_INFO of 48 bytes from 24, its mask at 40.</summary>
    public static byte[] Groups(params ulong[] masks) => Record(GroupRelation, 32 + 48 * masks.Length, r =>
    {
        Word(r, 8, masks.Length);
        Word(r, 10, masks.Length);
        for (var i = 0; i < masks.Length; i++)
        {
            r[32 + 48 * i] = 64;
            r[33 + 48 * i] = (byte)System.Numerics.BitOperations.PopCount(masks[i]);
            BinaryPrimitives.WriteUInt64LittleEndian(r.AsSpan(32 + 48 * i + 40), masks[i]);
        }
    });
}
