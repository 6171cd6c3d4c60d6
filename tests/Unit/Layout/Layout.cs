// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>Where a field lives: what static assertions on sizeof and offsetof say in the kernel.</summary>
public readonly record struct FieldPlace(string Name, Type Type, int Offset, int Size)
{
    /// <summary>The cache line the field begins on.</summary>
    public int Line => Offset / CacheLine.Size;

    /// <summary>True when its first and last byte lie on different lines, so that no single access is atomic.</summary>
    public bool Straddles => Line != (Offset + Size - 1) / CacheLine.Size;
}

/// <summary>Size, offset and line of unmanaged structs, as compiled. sizeof is no constant in C#, so tests stand in for BUILD_BUG_ON.</summary>
internal static unsafe class Layout
{
    /// <summary>Takes the address of one field: p => &amp;p->Field.</summary>
    public delegate void* FieldOf<T>(T* p) where T : unmanaged;

    public static int SizeOf<T>() where T : unmanaged => sizeof(T);

    public static int OffsetOf<T>(FieldOf<T> field) where T : unmanaged
    {
        T probe;
        return (int)((byte*)field(&probe) - (byte*)&probe);
    }

    /// <summary>The line of a field, counted from the start of its struct.</summary>
    public static int LineOf<T>(FieldOf<T> field) where T : unmanaged => OffsetOf(field) / CacheLine.Size;

    public static int BytesOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    /// <summary>Every instance field of type, by offset. Not Marshal.OffsetOf: that one speaks of the marshalled form.</summary>
    public static IReadOnlyList<FieldPlace> Fields(Type type) =>
        [.. type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .Select(f => new FieldPlace(f.Name, f.FieldType, Offset(f), BytesOf(f.FieldType)))
            .OrderBy(f => f.Offset)];

    private static int Offset(FieldInfo field)
    {
        byte probe; // only its address is used
        var method = new DynamicMethod("offset", typeof(nint), [typeof(nint)], typeof(Layout).Module, skipVisibility: true);
        ILGenerator il = method.GetILGenerator();
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Ldflda, field);
        il.Emit(OpCodes.Conv_I);
        il.Emit(OpCodes.Ret);
        return (int)(method.CreateDelegate<Func<nint, nint>>()((nint)(&probe)) - (nint)(&probe));
    }
}
