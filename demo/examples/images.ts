/** MNIST and Fashion-MNIST as data sets: bytes as they are in the files. */
import type { DataSet } from "../../src/nn/index.ts";
import { loadMnist, type Split } from "../mnist/idx.ts";
import type { Loaded } from "./example.ts";

const dataSet = ({ pixels, labels }: Split): DataSet => ({ input: pixels, target: labels });

const CLOTHES = ["T-shirt", "Trousers", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"];

export async function loadImages(
  name: "mnist" | "fashion-mnist",
  onProgress?: (fraction: number) => void,
): Promise<Loaded> {
  const { train, test } = await loadMnist(`${import.meta.env.BASE_URL}${name}/`, onProgress);
  const names = name === "fashion-mnist" ? { names: CLOTHES } : {};
  return { data: dataSet(train), test: dataSet(test), count: train.count, ...names };
}

/** What the bytes stand for, from mean and standard deviation of all training pixels (of 1). */
export const standardized = (mean: number, deviation: number) => ({ scale: 1 / deviation, shift: -mean / deviation });

export const MNIST_BYTES = standardized(0.1307, 0.3081);
export const FASHION_BYTES = standardized(0.286, 0.353);
